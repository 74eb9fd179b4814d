package config

import (
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

func (r *reader) slots(list []*section) {
	taken := names{}
	r.used = map[string]bool{}
	for _, s := range list {
		var t playlist.Slot
		before, sound := len(r.problems), !s.t.mended
		t.Name = s.name(taken, "早间健康")
		if s.need("playlist", `playlist = "健康微课堂"`) {
			t.Playlist = s.playlist()
		}
		r.used[t.Playlist] = true
		if s.need("cron", `cron = "30 7 * * *"`) {
			t.Cron = s.cron()
		}
		t.Outputs = s.outputs()
		t.Count = s.whole("count", 1, 1, playlist.MaxCount)
		t.From, t.To = s.date("from"), s.date("to")
		if t.From != "" && t.To != "" && t.From > t.To {
			s.fault("to", say.M("config.dates_backwards", string(t.From), string(t.To)), say.M("config.dates_backwards_remedy"))
		}
		t.Except = s.dates("except")
		t.Days = s.days("days")
		t = t.Under(r.out.Calendar)
		t.Priority = s.whole("priority", playlist.DefaultPriority, playlist.MinPriority, playlist.MaxPriority)
		t.Window = s.span("window", playlist.DefaultWindow, playlist.MinWindow, playlist.MaxWindow)
		t.Missed = playlist.MissedPolicy(s.choice("missed", string(playlist.MissedSkip),
			string(playlist.MissedSkip), string(playlist.MissedLate), string(playlist.MissedMakeGood)))
		s.form("until", notAt("00:00"))
		until, untilOK := s.clock("until")
		t.Until = until
		t.After = playlist.AfterPolicy(s.choice("after", string(playlist.AfterRejoin),
			string(playlist.AfterRejoin), string(playlist.AfterRestart), string(playlist.AfterDrop)))
		t.IntoQuiet = playlist.QuietPolicy(s.choice("into_quiet", string(playlist.QuietCut),
			string(playlist.QuietCut), string(playlist.QuietShift), string(playlist.QuietSuppress)))
		t.LevelDB = s.level("level_db", 0, playlist.MinSlotLevel, playlist.MaxSlotLevel)
		t.Chime = s.yes("chime", false)
		if len(r.tables.singles) == 0 { // a push file
			t.Instead = s.yes("instead", false)
		}
		if untilOK && until == 0 {
			s.fault("until", say.M("config.until_zero"), say.M("config.until_zero_remedy"))
		}
		s.rest()
		if s.has("until") && t.Missed == playlist.MissedSkip && len(r.problems) == before && sound {
			s.fault("until", say.M("config.until_skip"), say.M("config.until_skip_remedy"))
		}
		if len(r.problems) == before && sound {
			r.firing(s, t)
			r.doubts(s, t)
		}
		r.out.Slots = append(r.out.Slots, t)
	}
	r.warnOfQuiet(len(list))
	r.tellAbsent("playlist", "playlist", r.playlists)
	r.tellAbsent("output", "outputs", r.outputs)
}

func (s *section) playlist() string {
	s.form("playlist", asName)
	v := s.want("playlist", unstable.String, say.M("config.quote_remedy", "playlist", "健康微课堂"))
	if v == nil {
		return ""
	}
	name := s.plain("playlist", v, "健康微课堂")
	if name == "" {
		return ""
	}
	if !slices.Contains(s.r.playlists, name) {
		s.r.noteAbsent("playlist", name, s, v)
	}
	return name
}

func (s *section) outputs() []string {
	s.form("outputs", asOutputs)
	if s.lacks("outputs") {
		return slices.Clone(s.r.outputs)
	}
	list, _ := s.words("outputs", "村口")
	var out []string
	for _, v := range list {
		switch {
		case !slices.Contains(s.r.outputs, v.text):
			s.r.noteAbsent("output", v.text, s, v)
		case slices.Contains(out, v.text):
			s.r.fault(v.at, s.at("outputs"), say.M("config.output_twice", v.text), say.M("config.output_twice_remedy"))
		default:
			out = append(out, v.text)
		}
	}
	return out
}

// absentee is a name that slots give and no table has.
type absentee struct {
	name  string
	by    *section // the first slot that gives it
	v     *value
	times int // slots that give it
}

func (r *reader) noteAbsent(kind, name string, by *section, v *value) {
	for _, x := range r.absent[kind] {
		if x.name == name {
			x.times++
			return
		}
	}
	r.absent[kind] = append(r.absent[kind], &absentee{name, by, v, 1})
}

// tellAbsent reports the names of a kind of table that none of them has, each once.
// Names that tables with a fault in theirs may well have are left for when that is
// mended. If there is no table of the kind at all, that is one fault.
func (r *reader) tellAbsent(kind, key string, known []string) {
	absent := r.absent[kind]
	if len(absent) <= r.nameless[kind] {
		return
	}
	if len(known) == 0 {
		if kind == "output" && slices.Contains(r.tables.lists, kind) {
			return // that there is none is reported
		}
		absent = absent[:1]
	}
	for _, x := range absent {
		what, remedy := say.M("config."+kind, shown(x.name)), say.M("config."+kind+"_remedy", shown(x.name))
		if x.times > 1 {
			what = say.M("config.times", what, x.times)
		}
		name := strings.Trim(plainly(x.name), `"'`) // 《健康》 is 健康
		if nameAsMeant(x.name) == "" && len(known) > 0 {
			remedy = say.M("config.known_remedy", all(known))
		}
		if n := Near(name, known); n != "" {
			remedy = say.M("config.near_remedy", n)
		}
		if key == "outputs" {
			remedy = x.by.severalOutputs(x, known, remedy)
		}
		x.by.misread(key, x.v, what, remedy)
	}
}

// severalOutputs is the remedy for an entry of outputs that is no name: it may stand for
// all of them, or for several.
func (s *section) severalOutputs(x *absentee, known []string, otherwise say.Message) say.Message {
	if _, instead := asOutputs.mean(x.name); instead.Key != "" {
		return instead
	}
	if joined := strings.Join(strings.Fields(plainly(x.name)), ""); slices.Contains(known, joined) {
		return say.M("config.near_remedy", joined)
	}
	parts := parted(x.name, ",; \t")
	if len(parts) < 2 {
		return otherwise
	}
	var names []string
	for _, v := range s.t.find("outputs").val.list {
		entries := []string{v.text}
		if v == x.v {
			entries = parts
		}
		for _, name := range entries {
			if !slices.Contains(known, name) {
				return say.M("config.entries_remedy", listed(parts, func(p string) string { return p }))
			}
			names = append(names, name)
		}
	}
	return say.M("config.syntax_write_remedy", "outputs", listed(names, func(p string) string { return p }))
}

func (s *section) cron() playlist.Cron {
	s.form("cron", asCron)
	v := s.want("cron", unstable.String, say.M("config.quote_remedy", "cron", "30 7 * * *"))
	if v == nil {
		return playlist.Cron{}
	}
	if what, remedy, bad := faultOfCron(v.text); bad {
		s.garbled("cron", v, what, s.advice("cron", v.text, remedy))
		return playlist.Cron{}
	}
	c, err := playlist.ParseCron(v.text)
	if err != nil {
		s.garbled("cron", v, say.M("config.cron", shown(v.text)), say.M("config.cron_remedy"))
		return playlist.Cron{}
	}
	return c
}

// firing looks at when the slot falls due. Knowing no present, it looks from
// the slot's first day on, or from the start of 2024 (a leap year). No slot is refused
// for what the calendar says: any day may be worked or off in another year.
func (r *reader) firing(s *section, t playlist.Slot) {
	if t.Days.ByCalendar() {
		t.Days = 0
	}
	zone := r.out.Site.Zone
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, zone)
	if t.From != "" {
		start, _ = time.ParseInLocation(time.DateOnly, string(t.From), zone)
	} else if t.To != "" {
		last, _ := time.ParseInLocation(time.DateOnly, string(t.To), zone)
		start = last.AddDate(-1, 0, 0)
	}
	start = start.Add(-time.Nanosecond)
	if _, ok := t.Cron.Next(start); !ok {
		s.fault("cron", say.M("config.cron_never", shown(t.Cron.String())), say.M("config.cron_never_remedy"))
		return
	}
	due, ok := t.Next(start, zone)
	if !ok {
		s.fault("cron", say.M("config.slot_never"), say.M("config.slot_never_remedy"))
		return
	}
	if t.Until > 0 && !r.beforeUntil(t, start) {
		s.fault("until", say.M("config.until_early", t.Until.String()), say.M("config.until_early_remedy"))
	}
	if r.vague {
		return
	}
	for range 100 {
		until, quiet := r.quietUntil(due)
		if !quiet {
			return
		}
		if due, ok = t.Next(until.Add(-time.Nanosecond), zone); !ok {
			break
		}
	}
	r.silent = append(r.silent, s)
}

// warnOfQuiet warns of slots of which every airing falls in quiet hours. If that is so of
// each of them, the quiet hours are to blame.
func (r *reader) warnOfQuiet(slots int) {
	for _, s := range r.silent {
		what := say.M("config.slot_quiet")
		if len(r.silent) == slots && slots > 1 {
			what = say.M("config.slots_quiet", slots)
		}
		r.problem(Warning, s.place("cron"), s.at("cron"), what, say.M("config.slot_quiet_remedy"))
		if what.Key == "config.slots_quiet" {
			return
		}
	}
}

// doubts warns of a slot that will hardly do what was meant.
func (r *reader) doubts(s *section, t playlist.Slot) {
	if what, remedy, wide := wideStep(t.Cron.String()); wide {
		r.problem(Warning, s.place("cron"), s.at("cron"), what, remedy)
	}
	if what, remedy, found := hourly(t.Cron.String()); found {
		r.problem(Warning, s.place("cron"), s.at("cron"), what, remedy)
	}
	if now := r.now(); !now.IsZero() && t.To != "" && string(t.To) < now.Format(time.DateOnly) {
		r.problem(Warning, s.place("to"), s.at("to"), say.M("config.to_past", string(t.To)), say.M("config.to_past_remedy"))
	}
	long, gap := time.Duration(t.Count)*r.usual(t.Playlist), r.gap(t)
	if gap > 0 && long > gap+gap/10 {
		r.problem(Warning, s.place("cron"), s.at("cron"), say.M("config.crowded", long.Round(time.Second).String(), Brief(gap)), say.M("config.crowded_remedy"))
	}
}

// usual is how long the clips of a playlist are on average; 0 if that is
// not known.
func (r *reader) usual(name string) time.Duration {
	var sum time.Duration
	for _, p := range r.out.Playlists {
		if p.Name != name {
			continue
		}
		for _, id := range p.Clips {
			sum += r.lengths[id]
		}
		if len(p.Clips) > 0 {
			return sum / time.Duration(len(p.Clips))
		}
	}
	return 0
}

// gap is the shortest time between the slot's first few airings; 0 if
// there is but one.
func (r *reader) gap(t playlist.Slot) (least time.Duration) {
	at, ok := t.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, r.out.Site.Zone), r.out.Site.Zone)
	for range 4 {
		next, more := t.Next(at, r.out.Site.Zone)
		if !ok || !more {
			break
		}
		if d := next.Sub(at); least == 0 || d < least {
			least = d
		}
		at = next
	}
	return least
}

// beforeUntil reports whether some airing falls due before the slot's Until.
func (r *reader) beforeUntil(t playlist.Slot, at time.Time) bool {
	for range 60 {
		due, ok := t.Next(at, r.out.Site.Zone)
		if !ok {
			return false
		}
		if due.Before(t.Until.On(due, r.out.Site.Zone)) {
			return true
		}
		// The rest of this day comes no earlier.
		y, m, d := due.In(r.out.Site.Zone).Date()
		at = playlist.StartOfDay(y, m, d+1, r.out.Site.Zone).Add(-time.Nanosecond)
	}
	return false
}

// quietUntil is when the quiet hours in which the instant lies end, at most
// eight days on.
func (r *reader) quietUntil(at time.Time) (end time.Time, quiet bool) {
	if !r.out.QuietAt(at) {
		return at, false
	}
	end = at.Truncate(time.Minute)
	for range 8 * 24 * 60 {
		end = end.Add(time.Minute)
		if !r.out.QuietAt(end) {
			break
		}
	}
	return end, true
}

// unusedPlaylists warns of playlists that no slot names.
func (r *reader) unusedPlaylists() {
	if r.used[""] || len(r.absent["playlist"]) > 0 {
		return // they may be meant
	}
	for i, name := range r.playlists {
		if !r.used[name] {
			s := r.listed[i]
			r.problem(Warning, s.place("name"), s.at("name"), say.M("config.playlist_unused", name), say.M("config.playlist_unused_remedy"))
		}
	}
}
