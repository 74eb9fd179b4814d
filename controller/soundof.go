package controller

import (
	"cmp"

	"dalaba/controller/site"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// SoundOf says what a message is aired as, and what becomes of each recording that
// it names, and why. a is the alert as its message has it, r as the book enters it
// (see [RecordOf]). It is what the daemon does if it can make a clip of the sound,
// or else speak the text.
func SoundOf(a emergency.Alert, r emergency.Record, c *config.Config) (as asrun.Used, all []site.Recording) {
	sounding := r.Sounding(c.Alerts)
	as = sounding.First(genericPath(c.Alert, r.EventCode) != "")
	toAir := as == asrun.UsedClip
	for _, x := range a.Audio {
		one := r
		one.Audio = []emergency.Audio{x}
		s := one.Sounding(c.Alerts)
		rec := site.Recording{Name: x.Name, Size: x.Size, SHA256: x.SHA256}
		own := len(s.Own) > 0
		rec.Airs = toAir && (own || len(s.Damaged) > 0 && len(sounding.Own) == 0)
		switch {
		case own && rec.Airs:
			rec.Why = say.Word("alerts.sound_", cmp.Or(x.Matched, "plain"))
		case own:
			rec.Why = say.M("alerts.sound_spare")
		case rec.Airs:
			rec.Why = say.M("alerts.sound_damaged")
		case len(s.Dropped) > 0:
			rec.Why = say.M(s.Dropped[0].Why)
		default:
			rec.Why = say.M("alerts.sound_absent")
		}
		toAir = toAir && !rec.Airs
		all = append(all, rec)
	}
	return as, all
}
