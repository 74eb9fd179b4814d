package web

// Len is how much is remembered.
func (t *Tries) Len() int { return len(t.pairs) + len(t.sources) + len(t.accounts) }

// PaceWithin is how long each part of a large body may take.
var PaceWithin = &paceWithin
