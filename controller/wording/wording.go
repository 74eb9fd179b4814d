// Package wording puts what the domain says into sentences, for verbs and pages.
package wording

import (
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// SlotTitle returns a slot's name for people, which says if the slot is the
// county's.
func SlotTitle(name string) say.Message {
	if !playlist.FromCounty(name) {
		return say.M("why.own_slot", name)
	}
	return say.M("why.county_slot", playlist.OwnName(name))
}

// ClipTitle returns a clip's name for people: its title, behind the issue number if the
// title does not say that itself; its short ID if it has no title.
func ClipTitle(id playlist.ClipID, title string, issue int) say.Message {
	switch {
	case title == "":
		return say.M("cli.as_it_is", id.Short())
	case issue > 0 && !playlist.SaysIssue(title, issue):
		return say.M("why.of_issue", issue, title)
	}
	return say.M("cli.as_it_is", title)
}

// Other names what has an output, or takes it: an airing, an alert, the microphone, or a
// sound by hand, as which one without a name counts too.
func Other(id playlist.AiringID) say.Message {
	user, hand := id.Hand()
	alert, isAlert := id.Alert()
	switch {
	case id == "", hand && user == "":
		return say.M("why.a_hand")
	case hand:
		return say.M("why.a_hand_of", user)
	case alert.Live():
		return say.M("why.a_mic")
	case isAlert:
		return say.M("why.an_alert")
	}
	slot, _, _ := strings.Cut(string(id), "@")
	return say.M("why.a_slot", SlotTitle(slot))
}

// Why returns an explanation as a sentence. asked is the instant that it explains:
// instants of another day in the zone have their date.
func Why(e schedule.Explanation, asked time.Time, zone *time.Location) say.Message {
	args := make([]any, len(e.About))
	for i, a := range e.About {
		args[i] = about(a, asked, zone)
	}
	m := say.M("why."+string(e.What), args...)
	for _, next := range e.Then {
		m = say.M("why.then", m, Why(next, asked, zone))
	}
	return m
}

func about(a any, asked time.Time, zone *time.Location) any {
	switch a := a.(type) {
	case schedule.SlotName:
		if playlist.FromCounty(string(a)) {
			return SlotTitle(string(a))
		}
		return string(a)
	case playlist.AiringID:
		return Other(a)
	case time.Time:
		return clock(a, asked, zone)
	case []int:
		return config.Years(a)
	case time.Weekday:
		return say.M("why.day" + strconv.Itoa(int(a)))
	case []playlist.TimeOfDay:
		all := make([]string, len(a))
		for i, t := range a {
			all[i] = t.String()
		}
		return strings.Join(all, ", ")
	case playlist.Scope:
		return string(a)
	case schedule.ClipName:
		return clip(a)
	case asrun.Outcome:
		return say.Word("outcome.", string(a))
	case asrun.Reason:
		return say.Word("reason.", string(a))
	case asrun.Used:
		return say.Word("why.used_", string(a))
	}
	return a
}

// clock returns an instant by the clocks of a zone, with the date if that is not the date of
// what it is told with.
func clock(at, with time.Time, zone *time.Location) string {
	local := at.In(zone)
	if local.Format(time.DateOnly) == with.In(zone).Format(time.DateOnly) {
		return local.Format(time.TimeOnly)
	}
	return local.Format(time.DateTime)
}

func clip(c schedule.ClipName) say.Message {
	switch {
	case c.Title == "":
		return say.M("why.bare", c.ID.Short())
	case c.Issue > 0 && c.Series != "":
		if said := (playlist.Named{Series: c.Series, Issue: c.Issue, Title: c.Title}); playlist.ReadName(c.Title) == said {
			break // 健康微课堂第4期 says it all
		}
		return say.M("why.issue", c.Series, c.Issue, c.Title)
	}
	return say.M("why.title", c.Title)
}
