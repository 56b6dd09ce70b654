"""Motion capture (Acclaim ASF/AMC, BVH): read, retargeted to the Xsens body, cut into actions."""
