package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"dalaba/playlist"
)

// stateSlots is the store's fact of when each slot came into force: JSON, by
// what makes it fall due.
const stateSlots = "slots"

// since tells the programmes' slots when they came into force, so that none is
// blamed for what it would have aired before. A slot whose schedule changed is
// another one. What none of the programmes has is forgotten: the one that was
// in force until now must be among them.
func (d *daemon) since(ctx context.Context, programmes ...*playlist.Programme) {
	known := map[string]time.Time{}
	text, _, err := d.site.store.State(ctx, stateSlots)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &known)
	}
	now, changed := d.now().UTC(), false
	in := map[string]time.Time{}
	for _, p := range programmes {
		if p == nil {
			continue
		}
		for i := range p.Slots {
			s := &p.Slots[i]
			key := s.DueKey(p.Site.Zone)
			at, ok := known[key]
			if !ok || at.After(now.Add(floorSlack)) { // or that was by a wrong clock
				at, changed = now, true
			}
			if in[key] = at; !s.Since.Equal(at) {
				s.Since = at
			}
		}
	}
	if changed || len(in) != len(known) {
		var b []byte
		if b, err = json.Marshal(in); err == nil {
			err = d.site.store.SetState(ctx, stateSlots, string(b))
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		d.log.Error("state not kept", "key", stateSlots, "err", err)
	}
}
