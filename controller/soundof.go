package controller

import (
	"cmp"
	"slices"

	"dalaba/alert"
	"dalaba/controller/site"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// SoundOf returns what becomes of each recording that an alert names: which one is
// aired, which are not, and why. a is the alert as its message has it, r as the book
// enters it (see [RecordOf]).
func SoundOf(a emergency.Alert, r emergency.Record) (all []site.Recording) {
	aired := false
	for _, s := range a.Audio {
		rec := site.Recording{Name: s.Name, Size: s.Size, SHA256: s.SHA256}
		taken := slices.ContainsFunc(r.Audio, func(t emergency.Audio) bool {
			return t.Name == s.Name && t.URI == s.URI && t.SHA256 == s.SHA256
		})
		switch {
		case s.Matched == alert.OfNone:
			rec.Why = say.M("alerts.sound_digest")
		case len(s.Data) == 0:
			rec.Why = say.M("alerts.sound_absent")
		case !taken:
			rec.Why = say.M("alerts.sound_dropped")
		case aired:
			rec.Why = say.M("alerts.sound_spare")
		default:
			rec.Airs, aired = true, true
			rec.Why = say.Word("alerts.sound_", cmp.Or(s.Matched, "plain"))
		}
		all = append(all, rec)
	}
	return all
}
