package main

import (
	"path/filepath"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// The list of alerts: a number for each, a cancel by what it cancels.
func TestTheListOfAlerts(t *testing.T) {
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_MESSAGES", "")
	t.Setenv("LANG", "")
	inVillage(t, func(v *village) {
		v.history()
		v.open()
		add := func(id playlist.AlertID, title string, minutes int, change func(*emergency.Record)) {
			at := v.now.Add(time.Duration(minutes-60) * time.Minute)
			r := emergency.Record{Source: playlist.AlertByHand, Received: at, State: emergency.StateDone, Alert: emergency.Alert{
				ID: id, Format: "CAP 1.2", Identifier: string(id), Sender: "flood@example.cn", Sent: at, Kind: emergency.KindRequest,
				Class: emergency.ClassEmergency, Level: emergency.Red, NotAfter: at.Add(3 * time.Hour),
				Signature: emergency.Signature{State: emergency.SignatureAbsent},
			}}
			if title != "" {
				r.Texts = []emergency.Text{{Language: "zh-CN", Title: title, Text: title + "。"}}
			}
			change(&r)
			v.must(v.store.SaveAlerts(v.t.Context(), emergency.Change{Records: []emergency.Record{r}}, nil))
		}
		add("A", "洪水警报", 1, func(r *emergency.Record) {
			r.State, r.Reason, r.By = emergency.StateCancelled, emergency.ReasonCancelled, "hand,1"
		})
		add("hand,1", "", 2, func(r *emergency.Record) {
			r.Source, r.Kind, r.Class, r.Level, r.Refs, r.State = playlist.AlertAtSite, emergency.KindCancel, "", 0, []playlist.AlertID{"A"}, emergency.StateLogged
		})
		add("B", "停水通知", 3, func(r *emergency.Record) {
			r.State, r.Reason, r.Level = emergency.StateCancelled, emergency.ReasonSuperseded, emergency.Blue
		})
		add("C", "停水通知", 4, func(r *emergency.Record) {
			r.Kind, r.State, r.Level = emergency.KindUpdate, emergency.StateAiring, emergency.Blue
		})
		add("D", "防汛演练", 5, func(r *emergency.Record) {
			r.Class, r.State, r.Reason = emergency.ClassDrillActual, emergency.StateRefused, emergency.ReasonDrill
		})
		add("E", "放水", 6, func(r *emergency.Record) { r.State, r.NotBefore = emergency.StateWaiting, v.now.Add(time.Hour) })
		v.must(v.store.Close())
		held, err := data.Lock(filepath.Join(v.dir, "data"))
		v.must(err)
		for form, extra := range map[string][]string{"zh": {"--lang", "zh-CN"}, "en": {"--lang", "en"}, "json": {"--lang", "en", "--json"}} {
			code, out, errOut := v.dalaba(append([]string{"alert"}, extra...)...)
			if code != 0 || errOut != "" {
				t.Errorf("%s: exit %d, %s", form, code, errOut)
			}
			golden(t, "alerts."+form, v.stable(out))
		}
		v.must(held.Release())
	})
}
