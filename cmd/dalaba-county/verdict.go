package main

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// levelTones are the colours of the levels; each is named in words beside.
var levelTones = map[emergency.Level]cli.Tone{emergency.Red: "1;31", emergency.Orange: "38;5;208", emergency.Yellow: "33", emergency.Blue: "34"}

func (a *app) level(l emergency.Level) string {
	return a.Word("alerts.level_", strconv.Itoa(int(l)))
}

// question asks whether an alert is to sound, by its name and level.
func (a *app) question(v county.Verdict) string {
	p := v.Preview
	switch {
	case v.State.Over() || v.Duplicate || p == nil:
		return a.Say("county.alert_ask_silent")
	case p.Class.Drill():
		return a.Say("county.drill_ask", a.Word("alerts.class_", string(p.Class)), cli.Printable(p.Name), v.Reaches.Controllers, v.Reaches.Residents)
	case p.Kind == emergency.KindUpdate:
		return a.Say("county.update_ask", a.level(p.Level), cli.Printable(p.Name), v.Reaches.Controllers, v.Reaches.Residents)
	}
	return a.Say("county.alert_ask", a.level(p.Level), cli.Printable(p.Name), v.Reaches.Controllers, v.Reaches.Residents)
}

// verdict shows an alert as people will hear it, and what was decided about it.
func (a *app) verdict(k *client, v county.Verdict) {
	if v.Duplicate {
		a.Println(a.Say("county.alert_known", a.Word("county.alert_", string(v.State))))
	}
	if v.Preview != nil {
		a.alertPreview(k, *v.Preview)
	}
	for _, c := range v.Cuts {
		a.warn(a.Say("county.alert_cut", a.Say(c.What, c.Had, c.Kept)))
	}
	a.changes(k, v.Changes)
	r := v.Reaches
	a.Println(a.Say("county.reaches", r.Controllers, r.Online, r.Outputs, r.Residents, len(r.Areas)))
	if r.Controllers > 0 {
		a.Println("  " + a.names(r.Names, r.Controllers))
	}
	if p := v.Preview; p != nil {
		a.villages("county.preview_offline", p.Offline)
		a.villages("county.preview_astray", p.Astray)
		a.villages("county.preview_faulty", p.Faulty)
	}
	for _, d := range v.Doubts {
		a.warn(a.Word("county.doubt_", string(d)))
	}
	if v.State.Over() && v.Why != "" {
		a.warn(a.Say("county.alert_not", a.Say("county.refused_"+v.Why)))
	}
}

func (a *app) warn(line string) { a.Println(cli.Paint(line, cli.Warn, a.Colour())) }

// mostVillages is how many names of villages one line has.
const mostVillages = 6

// names lists the first of n names.
func (a *app) names(names []string, n int) string {
	shown := names[:min(len(names), mostVillages)]
	text := cli.Printable(strings.Join(shown, a.Say("county.between")))
	if n > len(shown) {
		text = a.Say("county.names_more", text, n-len(shown))
	}
	return text
}

func (a *app) villages(key string, of county.Villages) {
	if of.Controllers > 0 {
		a.warn(a.Say(key, of.Controllers, of.Residents, a.names(of.Names, of.Controllers)))
	}
}

// held shows for how long an alert waits for a person.
func (a *app) held(k *client, v county.Verdict) {
	if v.State != emergency.StateReview {
		return
	}
	key := "county.held_review"
	if v.Second {
		key = "county.held_second"
	}
	a.warn(a.Say(key, k.local(v.Held).Format("15:04:05"), string(v.ID)))
}

// alertPreview shows an alert as people will hear it.
func (a *app) alertPreview(k *client, p county.Preview) {
	class := a.Word("alerts.class_", string(p.Class))
	head := a.Say("county.preview_head", a.level(p.Level), class)
	if p.Class.Drill() {
		head = a.Say("county.preview_drill", class, a.level(p.Level))
	}
	tone := levelTones[p.Level]
	if p.Class != emergency.ClassEmergency {
		tone = "1;36"
	}
	a.Println(cli.Paint(head, tone, a.Colour()))
	if title := cmp.Or(p.Title, p.Event); title != "" {
		a.Println(a.Say("county.preview_title", cli.Printable(title)))
	}
	a.words(p)
	a.sound(p.Sound)
	ends := k.local(p.Ends)
	if !p.NotBefore.IsZero() {
		a.Println(a.Say("county.preview_from", k.local(p.NotBefore).Format("2006-01-02 15:04")))
	}
	line := a.Say("county.preview_ends", ends.Format("2006-01-02 15:04"))
	if p.Cut {
		line += a.Say("county.preview_cut")
	}
	if p.Late {
		line += a.Say("county.preview_late")
	}
	if p.Passes > 0 {
		a.Println(line + a.Say("county.preview_passes", p.Passes))
		return
	}
	a.Println(line + a.Say("county.preview_passes_open", playlist.DefaultAlertPasses))
}

// words shows what is read out, as it is: a drill's first words come before it. Beside a
// sound, the text is not read.
func (a *app) words(p county.Preview) {
	var lines []string
	if p.Class.Drill() {
		lines = append(lines, say.M("alerts.preamble").In(say.Chinese))
	}
	text := strings.Split(p.Words, "\n")
	if p.Words == "" {
		text = nil
	}
	if p.Sound.Used != asrun.UsedClip {
		lines, text = append(lines, text...), nil
	}
	for _, part := range []struct {
		head  string
		lines []string
	}{{"county.preview_words", lines}, {"county.preview_text", text}} {
		for i, line := range part.lines {
			if i == 0 {
				a.Println(a.Say(part.head))
			}
			a.Println("  " + cli.Printable(line))
		}
	}
}

// sound shows what an alert is aired as.
func (a *app) sound(s county.SoundPreview) {
	switch {
	case s.Used == asrun.UsedSpeech:
		a.Println(a.Say("county.preview_speech"))
	case s.Used == asrun.UsedTone:
		a.warn(a.Say("county.preview_tone"))
	case s.Length == 0:
		a.Println(a.Say("county.preview_sound", cli.Printable(s.Name)))
	default:
		a.Println(a.Say("county.preview_clip", cli.Printable(s.Name), s.Length.Round(100*time.Millisecond).Seconds(), cmp.Or(s.Format, "mp3")))
	}
	if s.Damaged {
		a.warn(a.Say("county.preview_damaged"))
	}
	for _, why := range s.Why {
		a.warn(a.Say("county.preview_unusable", cli.Printable(why)))
	}
}

// changes shows what an update changes, old and new.
func (a *app) changes(k *client, all []county.Field) {
	for _, f := range all {
		a.Println("  ~ " + cli.Printable(a.Say("county.field_changed", a.Word("county.alert_field_", f.Name), a.alertField(k, f.Name, f.Was), a.alertField(k, f.Name, f.Now))))
	}
}

// alertField is a value of a field of an alert as people read it.
func (a *app) alertField(k *client, field, value string) string {
	switch field {
	case "level":
		if l, ok := emergency.ParseLevel(value); ok {
			return a.level(l)
		}
	case "class":
		return a.Word("alerts.class_", value)
	case "sound":
		if value == "" {
			return a.Say("county.alert_no_recording")
		}
	case "passes":
		if value == "0" {
			return a.Say("county.alert_passes_open", playlist.DefaultAlertPasses)
		}
	case "ends":
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return k.local(at).Format("01-02 15:04")
		}
	}
	return cmp.Or(strings.ReplaceAll(value, "\n", " "), a.Say("county.field_none"))
}
