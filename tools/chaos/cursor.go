package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// chosen is a clip that an airing took from its playlist, once for one item on
// all outputs.
type chosen struct {
	rows    []*row
	clip    playlist.ClipID
	sounded bool
	since   time.Time // of its first claim
	closed  time.Time // when its last row was closed
}

// checkCursors follows each playlist through the clips that were claimed: none
// is repeated and none is passed over. A clip that did not sound is given back,
// unless another was taken from the playlist meanwhile.
func (j *judgement) checkCursors(ctx context.Context) error {
	store, err := data.OpenReadOnly(ctx, j.site.data())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	for list, order := range j.chosen() {
		states := j.follow(list, order)
		at, err := store.Cursor(ctx, list)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(states, func(s playlist.Cursor) bool { return s.Last == at.Last }) {
			j.breach("playlist %s: the cursor stands at %s, not at %s", list, j.name(at.Last), j.names(states))
		}
	}
	return nil
}

// chosen returns the clips taken from each playlist, in the order of their
// claims.
func (j *judgement) chosen() map[string][]*chosen {
	rows := slices.Clone(j.rows)
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.id, b.id) })
	lists := map[string][]*chosen{}
	last := map[asrun.RowKey]*chosen{}
	for _, r := range rows {
		if r.Part == 0 || r.life == nil {
			continue
		}
		k := asrun.RowKey{Airing: r.Airing, Item: r.Item}
		since := r.life.start.Add(time.Duration(r.MonoMS)*time.Millisecond - r.life.up)
		g := last[k]
		// After a clip is given back, the airing chooses again.
		if g == nil || !g.sounded && g.closed.Before(since) {
			g = &chosen{clip: r.Clip, since: since}
			last[k] = g
			lists[r.Playlist] = append(lists[r.Playlist], g)
		}
		g.rows = append(g.rows, r)
		g.sounded = g.sounded || r.Frames > 0 || !r.Started.IsZero()
		if r.made.After(g.closed) {
			g.closed = r.made
		}
		if g.clip != r.Clip {
			j.breach("%v: another clip than %s, which the airing has elsewhere", r, j.name(g.clip))
		}
	}
	return lists
}

// follow returns the cursors that a playlist may have after its clips were
// taken in that order.
func (j *judgement) follow(list string, order []*chosen) []playlist.Cursor {
	states := []playlist.Cursor{{}}
	for n, g := range order {
		next := j.after(list, g, states)
		switch {
		case g.sounded:
			states = next
		case mustGiveBack(order, n):
		default: // it may or may not have been given back
			for _, s := range next {
				if !slices.Contains(states, s) {
					states = append(states, s)
				}
			}
		}
	}
	return states
}

// after returns the cursors that may follow after a clip was taken.
func (j *judgement) after(list string, g *chosen, states []playlist.Cursor) (next []playlist.Cursor) {
	for _, v := range j.inForce(g.since) {
		pl, _ := j.site.versions[v].programme.Playlist(list)
		for _, s := range states {
			if id, after, ok := pl.Next(s); ok && id == g.clip && !slices.Contains(next, after) {
				next = append(next, after)
			}
		}
	}
	if len(next) > 0 {
		return next
	}
	j.breach("playlist %s: %v took %s behind %s; expected another", list, g.rows[0], j.name(g.clip), j.names(states))
	// Go on from what was taken.
	pl, _ := j.site.versions[j.site.latest()].programme.Playlist(list)
	return []playlist.Cursor{{Round: states[0].Round, Index: slices.Index(pl.Clips, g.clip), Last: g.clip}}
}

// mustGiveBack reports whether no other clip was open while the n-th was, so
// that it must be given back if it did not sound.
func mustGiveBack(order []*chosen, n int) bool {
	g := order[n]
	if n > 0 && !order[n-1].closed.Before(g.since) {
		return false
	}
	return n+1 == len(order) || g.closed.Before(order[n+1].since)
}

func (j *judgement) name(id playlist.ClipID) string {
	if c := j.site.clips[id]; c != nil {
		return c.name
	}
	return cmp.Or(id.Short(), "the beginning")
}

func (j *judgement) names(states []playlist.Cursor) string {
	var all []string
	for _, s := range states {
		all = append(all, j.name(s.Last))
	}
	return strings.Join(all, " or ")
}
