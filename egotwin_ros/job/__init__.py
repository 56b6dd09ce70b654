"""`egotwin imagine`: from a recording and a goal to a film, a recording and a chart."""
