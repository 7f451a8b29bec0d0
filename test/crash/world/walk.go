package world

// Leftovers are temporaries and run records that nothing needs any more, in an idle
// spool.
func (x *World) Leftovers() []string { return x.leftovers() }
