package web

// Len is how much is remembered.
func (t *Tries) Len() int { return len(t.pairs) + len(t.sources) + len(t.accounts) }
