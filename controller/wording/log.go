package wording

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
	"dalaba/web"
)

// Log puts events of a device log into sentences. Functions that are nil find nothing.
type Log struct {
	Lang  say.Lang
	Zone  *time.Location
	Clip  func(playlist.ClipID) (c playlist.Clip, ok bool)
	Alert func(playlist.AlertID) (title string, ok bool)
	All   bool // what only a programmer makes use of is told, too
}

// Say returns what an event says, and the lines of a longer explanation.
func (l Log) Say(e asrun.Event) (text string, below []string) {
	s := event{Log: l, at: e.At, attrs: readBack(e.Attrs), done: map[string]bool{}}
	var message any = e.Message
	if m, ok := say.Log(e.Message); ok {
		message = m
	}
	m := say.M("cli.as_it_is", message)
	if output, ok := s.attrs["output"].(string); ok && output != "" {
		m = say.M("attr.of_output", output, m)
	}
	if about := s.about(); about != "" {
		m = say.M("attr.about", m, about)
	}
	for _, key := range []string{"err", "why"} {
		why := strings.Split(s.reason(key), "\n")
		switch {
		case why[0] == "":
		case len(why) == 1 && key == "err":
			m = say.M("attr.because", m, why[0])
		default:
			below = append(below, why...)
		}
	}
	return m.In(l.Lang), below
}

// Level returns the word for the level of an event, which is empty if the event is
// nothing to worry about.
func (l Log) Level(e asrun.Event) string {
	switch {
	case e.Level >= int(slog.LevelError):
		return say.M("attr.level_error").In(l.Lang)
	case e.Level >= int(slog.LevelWarn):
		return say.M("attr.level_warn").In(l.Lang)
	}
	return ""
}

// Urgent reports whether a person at the screen of the daemon must know of an event at
// once: of errors, and of alerts that will not be heard.
func Urgent(e asrun.Event) bool {
	switch e.Message {
	case "alert file refused", "inbox file refused":
		return true
	case "config refused, the old one stays in force": // it is shown with the reloads
		return false
	case "alert received":
		return readBack(e.Attrs)["state"] == "refused"
	}
	return e.Level >= int(slog.LevelError)
}

// readBack returns attributes as the store has them.
func readBack(attrs map[string]any) map[string]any {
	text, err := json.Marshal(attrs)
	var read map[string]any
	if err != nil || json.Unmarshal(text, &read) != nil {
		return attrs
	}
	return read
}

// event is one that is being put into a sentence.
type event struct {
	Log
	at    time.Time
	attrs map[string]any
	done  map[string]bool // attributes that another one has told
}

// attribute is how one is told; false means that its value says nothing. The phrase of
// an attribute is attr.KEY.
type attribute struct {
	key  string
	tell func(s *event, key string) (say.Message, bool)
}

// attributes are those that people understand, in the order in which they are told.
var attributes = []attribute{
	{"controller", (*event).plain}, {"others", (*event).plain}, {"site", (*event).plain}, {"airing", (*event).airing}, {"slot", (*event).slot}, {"alert", (*event).alert},
	{"refs", (*event).alerts}, {"clip", (*event).clip}, {"title", (*event).plain}, {"replaced", (*event).another}, {"other", (*event).another},
	{"series", (*event).plain}, {"playlist", (*event).plain}, {"used", (*event).used}, {"name", (*event).plain}, {"role", (*event).plain},
	{"kind", (*event).word}, {"class", (*event).word}, {"level", (*event).word}, {"state", (*event).word},
	{"outcome", (*event).word}, {"reason", (*event).word}, {"late", (*event).flag}, {"clock", (*event).clock}, {"pass", (*event).count},
	{"from_frame", (*event).frames}, {"frames", (*event).frames}, {"of_frames", (*event).frames},
	{"lateness_ms", (*event).lateness}, {"away_ms", (*event).millis}, {"off_ms", (*event).millis},
	{"behind_s", (*event).seconds}, {"by_s", (*event).seconds}, {"ahead_s", (*event).seconds}, {"timeout", (*event).duration},
	{"sent", (*event).plain}, {"first", (*event).plain}, {"last", (*event).plain}, {"from", (*event).plain}, {"to", (*event).plain},
	{"not_before", (*event).plain}, {"until", (*event).plain}, {"floor", (*event).plain}, {"newest_row", (*event).plain},
	{"times", (*event).count}, {"count", (*event).count}, {"airings", (*event).count}, {"rows", (*event).count}, {"records", (*event).count},
	{"receipts", (*event).count}, {"outputs", (*event).count}, {"slots", (*event).count}, {"missing", (*event).count}, {"cut_off", (*event).count}, {"lost", (*event).count},
	{"free", (*event).bytes}, {"freed", (*event).bytes}, {"bytes", (*event).bytes},
	{"device", (*event).plain}, {"relay", (*event).plain}, {"on", (*event).onOff}, {"control", (*event).plain}, {"db", (*event).plain}, {"level_db", (*event).plain},
	{"hz", (*event).plain}, {"path", (*event).plain}, {"file", (*event).plain}, {"aside", (*event).plain}, {"backup", (*event).plain}, {"addr", (*event).plain},
	{"user", (*event).plain}, {"keys", (*event).plain},
	{"url", (*event).plain}, {"link", (*event).plain}, {"peer", (*event).plain}, {"dir", (*event).plain}, {"status", (*event).plain}, {"again_in", (*event).duration},
	{"since", (*event).plain}, {"made", (*event).plain}, {"controllers", (*event).plain}, {"messages", (*event).count}, {"clips", (*event).count}, {"files", (*event).count}, {"documents", (*event).count},
	{"after_version", (*event).plain}, {"before_version", (*event).plain}, {"notify", (*event).plain}, {"text", (*event).plain},
}

// inside are attributes that are told as they are, and only if all are.
var inside = []string{
	"by", "config", "epoch", "feature", "had", "has", "issue", "item", "key", "last_good", "next_start", "part", "pid", "reply", "retired", "scope", "seq", "sha256",
	"source", "stream", "subject", "version",
}

// about returns what the attributes say, but for the output and the reason.
func (s *event) about() string {
	var parts []string
	known := map[string]bool{"output": true, "err": true, "why": true}
	for _, a := range attributes {
		known[a.key] = true
		if v := s.attrs[a.key]; v == nil || v == "" || s.done[a.key] {
			continue
		}
		if m, ok := a.tell(s, a.key); ok {
			parts = append(parts, m.In(s.Lang))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.attrs)) {
		if known[key] || s.done[key] || strings.HasSuffix(key, asrun.InChinese) || slices.Contains(inside, key) && !s.All {
			continue
		}
		if text := s.text(key); text != "" {
			parts = append(parts, key+"="+text)
		}
	}
	return strings.Join(parts, say.M("attr.and").In(s.Lang))
}

// reason returns why something did not work: in the language, as far as it is known.
func (s *event) reason(key string) string {
	text := s.text(key)
	if s.Lang != say.Chinese {
		return text
	}
	if zh, ok := s.attrs[key+asrun.InChinese].(string); ok {
		return zh
	}
	return say.System(text)
}

// text returns the value of an attribute as it is, an instant by the clock of the site.
func (s *event) text(key string) string {
	switch v := s.attrs[key].(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return clock(at, s.at, s.Zone)
		}
		return v
	default:
		b, _ := json.Marshal(v) // it has been read from JSON
		return string(b)
	}
}

func (s *event) plain(key string) (say.Message, bool) { return say.M("attr."+key, s.text(key)), true }

// float returns a number, 0 if the attribute is none.
func (s *event) float(key string) float64 {
	v, _ := s.attrs[key].(float64)
	return v
}

func (s *event) count(key string) (say.Message, bool) {
	return say.M("attr."+key, s.text(key)), s.float(key) != 0
}

func (s *event) flag(key string) (say.Message, bool) {
	return say.M("attr." + key), s.attrs[key] == true
}

func (s *event) onOff(key string) (say.Message, bool) {
	if s.attrs[key] == true {
		return say.M("attr.on_true"), true
	}
	return say.M("attr.on_false"), true
}

func (s *event) clock(key string) (say.Message, bool) {
	return say.M("attr." + key), s.text(key) == string(playlist.ClockUntrusted)
}

func (s *event) bytes(key string) (say.Message, bool) {
	return say.M("attr."+key, web.Size(int64(s.float(key)))), s.float(key) != 0
}

// frames tells how much sounded, and of how much if that is more.
func (s *event) frames(key string) (say.Message, bool) {
	if key == "of_frames" && s.float(key) == s.float("frames") {
		return say.Message{}, false
	}
	return say.M("attr."+key, lasting(playlist.Length(int64(s.float(key))))), true
}

// millis tells what takes a second or more: less is how the program works.
func (s *event) millis(key string) (say.Message, bool) {
	d := time.Duration(s.float(key)) * time.Millisecond
	return say.M("attr."+key, lasting(d.Abs())), d.Abs() >= time.Second
}

// lateness tells how late a clip began, if that is more than the station tone before it
// takes.
func (s *event) lateness(key string) (say.Message, bool) {
	d := time.Duration(s.float(key)) * time.Millisecond
	return say.M("attr."+key, lasting(d)), Late(d)
}

// Late reports whether it is worth telling that an airing's first clip began so long after
// its due instant.
func Late(d time.Duration) bool { return d > schedule.LateBy+schedule.ChimeLength }

func (s *event) seconds(key string) (say.Message, bool) {
	return say.M("attr."+key, lasting((time.Duration(s.float(key)) * time.Second).Abs())), true
}

func (s *event) duration(key string) (say.Message, bool) {
	d, err := time.ParseDuration(s.text(key))
	return say.M("attr."+key, lasting(d)), err == nil
}

// lasting returns how long something lasts.
func lasting(d time.Duration) say.Message {
	n := func(d time.Duration) int { return int(d) }
	switch whole := d.Round(time.Second); {
	case d < 10*time.Second:
		return say.M("attr.tenths", d.Seconds())
	case whole < time.Minute:
		return say.M("attr.seconds", n(whole/time.Second))
	case whole < time.Hour:
		return say.M("attr.minutes", n(whole/time.Minute), n(whole%time.Minute/time.Second))
	case whole < 48*time.Hour:
		return say.M("attr.hours", n(whole/time.Hour), n(whole%time.Hour/time.Minute))
	default:
		return say.M("attr.days", n(whole/(24*time.Hour)), n(whole%(24*time.Hour)/time.Hour))
	}
}

// words are where the word for a value may stand. What an alert and an airing have of
// the same name are different things.
var words = map[string][]string{
	"kind": {"alerts.kind_", "attr.kind_"}, "class": {"alerts.class_"}, "level": {"alerts.level_"}, "state": {"alerts.state_", "county.state_"},
	"outcome": {"outcome."}, "reason": {"reason.", "alerts.reason_"},
}

func (s *event) word(key string) (say.Message, bool) {
	stems, v := words[key], s.text(key)
	if key == "state" && v == "logged" && !s.All { // as what is received is
		return say.Message{}, false
	}
	if _, ofAlert := s.attrs["state"]; ofAlert && key == "reason" {
		stems = []string{"alerts.reason_"}
	}
	for _, stem := range stems {
		if say.Has(stem + v) {
			return say.M("attr."+key, say.M(stem+v)), true
		}
	}
	return say.M("attr."+key, v), v != "0"
}

func (s *event) used(key string) (say.Message, bool) {
	return say.M("attr."+key, say.Word("why.used_", s.text(key))), true
}

// airing tells the slot and when it was due, or the alert that sounds.
func (s *event) airing(string) (say.Message, bool) {
	id := playlist.AiringID(s.text("airing"))
	if alert, ok := id.Alert(); ok {
		s.done["alert"] = true
		return s.alertCalled(string(alert)), true
	}
	name, due, ok := strings.Cut(string(id), "@")
	if !ok {
		return say.M("cli.as_it_is", Other(id)), true
	}
	s.done["slot"] = true
	at, err := time.Parse("20060102T150405Z", due)
	if err != nil {
		return say.M("attr.slot", SlotTitle(name)), true
	}
	return say.M("attr.airing", SlotTitle(name), strings.TrimSuffix(clock(at, s.at, s.Zone), ":00")), true
}

func (s *event) slot(string) (say.Message, bool) {
	return say.M("attr.slot", SlotTitle(s.text("slot"))), true
}

// alert tells which it is. A message about alerts is called by those that it refers to.
func (s *event) alert(string) (say.Message, bool) {
	return s.alertCalled(s.text("alert")), s.attrs["refs"] == nil || s.All
}

func (s *event) alertCalled(id string) say.Message {
	if playlist.AlertID(id).Live() {
		return say.M("why.a_mic")
	}
	if s.Alert != nil {
		if title, ok := s.Alert(playlist.AlertID(id)); ok && title != "" {
			return say.M("attr.alert", title)
		}
	}
	return say.M("attr.alert", id)
}

// alerts tells which alerts a message refers to.
func (s *event) alerts(key string) (say.Message, bool) {
	ids, _ := s.attrs[key].([]any)
	var all []string
	for _, id := range ids {
		all = append(all, s.alertCalled(fmt.Sprint(id)).In(s.Lang))
	}
	return say.M("attr."+key, strings.Join(all, say.M("view.comma").In(s.Lang))), len(all) > 0
}

// clip tells the title of a clip, or its ID if it is not known.
func (s *event) clip(string) (say.Message, bool) {
	s.done["title"], s.done["issue"] = true, true
	return s.named(playlist.ClipID(s.text("clip")), s.text("title"), int(s.float("issue"))), true
}

// named is a clip's title and issue. If no title is given, both are the clip's own.
func (s *event) named(id playlist.ClipID, title string, issue int) say.Message {
	if title == "" && s.Clip != nil {
		if c, ok := s.Clip(id); ok {
			title, issue = c.Title, c.Issue
		}
	}
	if title == "" {
		return say.M("why.bare", id.Short())
	}
	return ClipTitle(id, title, issue)
}

// another tells of a second clip.
func (s *event) another(key string) (say.Message, bool) {
	id := playlist.ClipID(s.text(key))
	return say.M("attr."+key, s.named(id, "", 0), id.Short()), true
}
