package main

import (
	"context"
	"slices"
	"strings"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// outputNamed checks the name of an output: one of the config, or one of which the
// as-run log has a row.
func (a *app) outputNamed(ctx context.Context, s *site.Site, name string) error {
	var known []string
	for _, o := range s.Outputs {
		known = append(known, o.Name)
	}
	if name == "" || slices.Contains(known, name) {
		return nil
	}
	if there, err := inLog(ctx, s, data.Query{Output: name}); there || err != nil {
		return err
	}
	return a.noName("view.no_output", name, known)
}

// slotNamed returns the name of the slot that a user means: one of the config or one of
// which the as-run log has a row. The county's may be called as tables call them.
func (a *app) slotNamed(ctx context.Context, s *site.Site, name string) (string, error) {
	var known []string
	means := ""
	for _, slot := range s.Slots {
		title := wording.SlotTitle(slot.Name).In(a.Language())
		known = append(known, title)
		if slot.Name == name {
			return name, nil
		}
		if means == "" && (title == name || playlist.OwnName(slot.Name) == name) {
			means = slot.Name
		}
	}
	if name == "" {
		return "", nil
	}
	if there, err := inLog(ctx, s, data.Query{Slot: name}); there || err != nil {
		return name, err
	}
	if means != "" {
		return means, nil
	}
	return "", a.noName("view.no_slot", name, known)
}

// inLog reports whether the as-run log has such a row.
func inLog(ctx context.Context, s *site.Site, q data.Query) (bool, error) {
	if s.Store == nil {
		return false, nil
	}
	q.Limit = 1
	for _, err := range s.Store.AsRun(ctx, q) {
		return err == nil, err
	}
	return false, nil
}

// mostNames is how many names a refusal lists.
const mostNames = 8

// noName refuses a name, and tells the nearest and the others.
func (a *app) noName(key, name string, known []string) error {
	names := strings.Join(known[:min(mostNames, len(known))], a.Say("view.comma"))
	if len(known) > mostNames {
		names += a.Say("view.comma") + "…"
	}
	if near := config.Near(name, known); near != "" {
		return cli.Refuse(say.M(key+"_near", name, near, names))
	}
	return cli.Refuse(say.M(key, name, names))
}
