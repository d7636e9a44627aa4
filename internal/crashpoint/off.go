//go:build !crashpoints

package crashpoint

// Enabled says whether this build has the points.
const Enabled = false

// Hit does nothing in this build.
func Hit(Point) {}
