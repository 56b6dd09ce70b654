"""`egotwin imagine`: a recording and a goal in; a film, a recording and a chart out."""
