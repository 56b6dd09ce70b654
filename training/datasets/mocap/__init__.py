"""Motion capture as others recorded it (Acclaim ASF/AMC, BVH), on our body: read, retargeted, cut by what is done."""
