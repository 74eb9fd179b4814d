package county

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// Difference is what one version of a programme has otherwise than another.
type Difference struct {
	Was     Source   `json:"was"`
	Now     Source   `json:"now"`
	Changes []Change `json:"changes"`
}

// difference compares two versions of a scope; 0 is the latest.
func (p *programmes) difference(ctx context.Context, scope playlist.Scope, was, now int64) (d Difference, err error) {
	var of [2]playlist.Manifest
	for i, v := range []int64{was, now} {
		e, err := p.documents.Envelope(ctx, link.KindManifest, scope, v)
		if err != nil {
			return d, missing(err, "county.no_version", string(scope), v)
		}
		if of[i], err = manifestOf(e); err != nil {
			return d, err
		}
		p := published{Manifest: of[i], by: e.By, at: e.At, begins: later(e.At, of[i].NotBefore)}
		source := p.source()
		if i == 0 {
			d.Was = source
		} else {
			d.Now = source
		}
	}
	d.Changes = diffOf(of[0], of[1])
	return d, nil
}

// Change is one line of the difference between two manifests.
type Change struct {
	What string `json:"what"` // slot, playlist or clip
	How  string `json:"how"`  // added, removed or changed
	Name string `json:"name"`
	Clip string `json:"clip,omitempty"` // its ID

	// Fields are those of it that change; of what is added, all that are set.
	Fields []Field `json:"fields,omitempty"`
}

// Field is a field of a slot, playlist or clip that changes. Its values are as push files
// have them. The clips of a playlist come one by one, as "clip", by their titles.
type Field struct {
	Name string `json:"name"`
	Was  string `json:"was,omitempty"` // empty: it was not set
	Now  string `json:"now,omitempty"` // empty: it is not set
}

// slotFields are the fields of slots, in the order in which they are told.
var slotFields = []struct {
	name string
	of   func(playlist.Slot) string
}{
	{"cron", func(s playlist.Slot) string { return s.Cron.String() }},
	{"days", func(s playlist.Slot) string { return DaysText(s.Days) }},
	{"playlist", func(s playlist.Slot) string { return s.Playlist }},
	{"count", func(s playlist.Slot) string { return strconv.Itoa(s.Count) }},
	{"priority", func(s playlist.Slot) string { return strconv.Itoa(s.Priority) }},
	{"from", func(s playlist.Slot) string { return string(s.From) }},
	{"to", func(s playlist.Slot) string { return string(s.To) }},
	{"except", func(s playlist.Slot) string { return Joined(s.Except) }},
	{"window", func(s playlist.Slot) string { return config.Brief(s.Window) }},
	{"missed", func(s playlist.Slot) string { return string(s.Missed) }},
	{"until", func(s playlist.Slot) string {
		if s.Until == 0 {
			return ""
		}
		return s.Until.String()
	}},
	{"after", func(s playlist.Slot) string { return string(s.After) }},
	{"into_quiet", func(s playlist.Slot) string { return string(s.IntoQuiet) }},
	{"level_db", func(s playlist.Slot) string {
		if s.LevelDB == 0 {
			return ""
		}
		return strconv.FormatFloat(s.LevelDB, 'g', -1, 64)
	}},
	{"chime", func(s playlist.Slot) string {
		if !s.Chime {
			return ""
		}
		return "true"
	}},
	{"instead", func(s playlist.Slot) string {
		if !s.Instead {
			return ""
		}
		return "true"
	}},
}

// dayNames are the days of [playlist.Weekdays], by their bits, as push files have them.
var dayNames = map[int]string{0: "sun", 1: "mon", 2: "tue", 3: "wed", 4: "thu", 5: "fri", 6: "sat", 8: "workday", 9: "holiday"}

// DaysText lists days as push files have them.
func DaysText(days playlist.Weekdays) string {
	var all []string
	for _, bit := range []int{1, 2, 3, 4, 5, 6, 0, 8, 9} {
		if days>>bit&1 != 0 {
			all = append(all, dayNames[bit])
		}
	}
	return strings.Join(all, ", ")
}

// preset is a slot with what a push file need not say.
var preset = playlist.Slot{Count: 1, Priority: playlist.DefaultPriority, Window: playlist.DefaultWindow, Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut}

// fieldsOf lists how a slot differs from what it was. Of a new one, that is all that is set
// and that a push file must say.
func fieldsOf(was, now playlist.Slot) (all []Field) {
	added := was.Name == ""
	if added {
		was = preset
	}
	for _, f := range slotFields {
		a, b := f.of(was), f.of(now)
		switch {
		case a == b:
		case added:
			all = append(all, Field{Name: f.name, Now: b})
		default:
			all = append(all, Field{f.name, a, b})
		}
	}
	return all
}

// clipsIn lists how a playlist differs from what it was.
func clipsIn(was, now playlist.Playlist, titles map[playlist.ClipID]string) (all []Field) {
	if was.Name == "" {
		was.Title, was.Order = now.Name, playlist.Sequence
	}
	if was.Title != now.Title {
		all = append(all, Field{"title", was.Title, now.Title})
	}
	if was.Order != now.Order {
		all = append(all, Field{"order", string(was.Order), string(now.Order)})
	}
	listed := len(all)
	for _, id := range was.Clips {
		if !slices.Contains(now.Clips, id) {
			all = append(all, Field{Name: "clip", Was: titles[id]})
		}
	}
	for _, id := range now.Clips {
		if !slices.Contains(was.Clips, id) {
			all = append(all, Field{Name: "clip", Now: titles[id]})
		}
	}
	if len(all) == listed && !slices.Equal(was.Clips, now.Clips) {
		all = append(all, Field{Name: "sequence", Was: titled(was.Clips, titles), Now: titled(now.Clips, titles)})
	}
	return all
}

func titled(clips []playlist.ClipID, titles map[playlist.ClipID]string) string {
	all := make([]string, len(clips))
	for i, id := range clips {
		all[i] = titles[id]
	}
	return strings.Join(all, ", ")
}

// lessonFields lists how what people know a clip by differs from what it was.
func lessonFields(was, now playlist.Clip) (all []Field) {
	issue := func(c playlist.Clip) string {
		if c.Issue == 0 {
			return ""
		}
		return strconv.Itoa(c.Issue)
	}
	for _, f := range []Field{{"title", was.Title, now.Title}, {"series", was.Series, now.Series}, {"issue", issue(was), issue(now)}} {
		if f.Was != f.Now {
			all = append(all, f)
		}
	}
	return all
}

// fieldsOfException lists how an exception differs from what it was. Of two that are for
// other days, one is added and one removed.
func fieldsOfException(was, now playlist.Exception) (all []Field) {
	for _, f := range []Field{
		{"days", Joined(was.Days), Joined(now.Days)}, {"from", string(was.From), string(now.From)}, {"to", string(was.To), string(now.To)},
		{"instead_at", TimesText(was.At), TimesText(now.At)},
	} {
		if f.Was != f.Now || f.Name == "instead_at" && was.Slot == "" {
			all = append(all, f)
		}
	}
	return all
}

// TimesText lists times of day, for people.
func TimesText(times []playlist.TimeOfDay) string {
	all := make([]string, len(times))
	for i, t := range times {
		all[i] = t.String()
	}
	return strings.Join(all, ", ")
}

// diffOf lists what a manifest changes of the one before it: slots, exceptions, then
// playlists, then clips, each kind by how it changed and by name.
func diffOf(before, after playlist.Manifest) []Change {
	titles := map[playlist.ClipID]string{}
	for _, clip := range slices.Concat(before.Clips, after.Clips) {
		titles[clip.ID] = clip.Title
	}
	all := slices.Concat(
		diff(before.Slots, after.Slots, playlist.Slot.Equal, func(s playlist.Slot) (string, Change) {
			return s.Name, Change{What: "slot", Name: s.Name}
		}, fieldsOf),
		diff(before.Playlists, after.Playlists, playlist.Playlist.Equal, func(l playlist.Playlist) (string, Change) {
			return l.Name, Change{What: "playlist", Name: l.Name}
		}, func(a, b playlist.Playlist) []Field { return clipsIn(a, b, titles) }),
		diff(before.Clips, after.Clips, func(a, b playlist.Clip) bool {
			return a.Title == b.Title && a.Series == b.Series && a.Issue == b.Issue
		}, func(k playlist.Clip) (string, Change) {
			return string(k.ID), Change{What: "clip", Name: k.Title, Clip: string(k.ID)}
		}, func(a, b playlist.Clip) []Field {
			if a.ID == "" {
				return nil // its name says it
			}
			return lessonFields(a, b)
		}),
	)
	all = append(all, diff(before.Exceptions, after.Exceptions, func(a, b playlist.Exception) bool { return len(fieldsOfException(a, b)) == 0 },
		func(e playlist.Exception) (string, Change) {
			days := cmp.Or(Joined(e.Days), string(e.From)+"–"+string(e.To))
			return e.Slot + days, Change{What: "exception", Name: e.Slot + " " + days}
		}, fieldsOfException)...)
	rank := map[string]int{"slot": 0, "exception": 1, "playlist": 2, "clip": 3}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(rank[a.What]-rank[b.What], strings.Compare(a.How, b.How), strings.Compare(a.Name, b.Name), strings.Compare(a.Clip, b.Clip))
	})
	return append([]Change{}, all...) // never nil: it goes out as JSON
}

// Contents lists all that a manifest has.
func Contents(m playlist.Manifest) []Change { return diffOf(playlist.Manifest{}, m) }

// diff lists what was added, changed and removed among things of one kind.
// named returns the key of a thing and the change that names it, fields how it changes
// from another one, or from none.
func diff[T any](before, after []T, equal func(a, b T) bool, named func(T) (key string, ch Change), fields func(was, now T) []Field) []Change {
	var all []Change
	was := map[string]T{}
	note := func(ch Change, how string) {
		ch.How = how
		all = append(all, ch)
	}
	for _, x := range before {
		key, _ := named(x)
		was[key] = x
	}
	for _, x := range after {
		key, ch := named(x)
		old, there := was[key]
		delete(was, key)
		switch {
		case !there:
			var none T
			ch.Fields = fields(none, x)
			note(ch, "added")
		case !equal(old, x):
			ch.Fields = fields(old, x)
			note(ch, "changed")
		}
	}
	for _, x := range was {
		_, ch := named(x)
		note(ch, "removed")
	}
	return all
}
