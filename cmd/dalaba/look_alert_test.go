package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
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

// Of four alerts, one was heard whole on both outputs, one on one of them, one never, and
// of one no row tells. The store has forgotten a fifth, and the microphone is the sixth.
func TestWhomAlertsReachedIsShown(t *testing.T) {
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_MESSAGES", "")
	t.Setenv("LANG", "")
	inVillage(t, func(v *village) {
		v.history()
		v.open()
		const minute = time.Minute
		add := func(id playlist.AlertID, title string, after time.Duration, class emergency.Class) {
			at := v.now.Add(-time.Hour + after)
			v.must(v.store.SaveAlerts(v.t.Context(), emergency.Change{Records: []emergency.Record{{
				Source: playlist.AlertByHand, Received: at, State: emergency.StateDone, Alert: emergency.Alert{
					ID: id, Kind: emergency.KindRequest, Class: class, Level: emergency.Red, Texts: []emergency.Text{{Language: "zh-CN", Title: title, Text: title}},
				},
			}}}, nil))
		}
		sounds := func(id playlist.AlertID, title, output string, after time.Duration, used asrun.Used, seconds int64, o asrun.Outcome) {
			at := v.now.Add(-time.Hour + after)
			r := asrun.Row{
				Airing: id.Airing(), Alert: id, Used: used, Title: title, Output: output, Item: 1, Part: 1, Rank: playlist.RankEmergency1, Due: at, Cued: at,
				Residents: map[string]int{"村口": 420, "West": 260}[output], OfFrames: 20 * playlist.Rate, Clock: playlist.ClockTrusted, Boot: "b0", LevelDB: -6.5,
			}
			v.aired(r, at.In(time.FixedZone("", 8*3600)).Format(time.DateTime), seconds, o, "")
		}
		add("A", "洪水警报", minute, emergency.ClassEmergency)
		sounds("A", "洪水警报", "村口", minute, asrun.UsedSpeech, 20, asrun.Complete)
		sounds("A", "洪水警报", "West", minute, asrun.UsedSpeech, 20, asrun.Complete)
		add("B", "=停水通知", 2*minute, emergency.ClassDaily)
		sounds("B", "=停水通知", "村口", 2*minute, asrun.UsedSpeech, 20, asrun.Complete)
		sounds("B", "=停水通知", "West", 2*minute, asrun.UsedTone, 20, asrun.Complete)
		add("C", "大风", 3*minute, emergency.ClassEmergency)
		sounds("C", "大风", "村口", 3*minute, asrun.UsedSpeech, 5, asrun.Preempted)
		sounds("C", "大风", "West", 3*minute, asrun.UsedTone, 0, asrun.Failed)
		add("D", "防汛演练", 4*minute, emergency.ClassDrillActual)
		sounds("E", "忘了的消息", "West", 5*minute, asrun.UsedClip, 20, asrun.Complete)
		live := playlist.LiveID(v.now.Add(-54 * minute))
		sounds(live, "应急话筒", "村口", 6*minute, asrun.UsedMic, 20, asrun.Complete)
		v.must(v.store.Close())
		for name, args := range map[string][]string{
			"reach-alerts.zh":      {"reach", "--alerts", "--lang", "zh-CN"},
			"reach-alerts.en":      {"reach", "--alerts", "--lang", "en"},
			"reach-alerts.json":    {"reach", "--alerts", "--json", "--since", "today"},
			"reach-alerts.csv":     {"reach", "--alerts", "--csv", "--lang", "zh-CN"},
			"reach-alerts-raw.csv": {"reach", "--alerts", "--csv=raw"},
			"asrun-alerts.csv":     {"asrun", "--since", "11:00", "--until", "11:30", "--csv", "--lang", "zh-CN"},
		} {
			code, out, errOut := v.dalaba(args...)
			if code != 0 || errOut != "" {
				t.Errorf("%s: exit %d, %s", name, code, errOut)
			}
			golden(t, name, out)
		}
		for _, columns := range []uint16{80, 60} {
			lines := v.onTerminal(columns, "reach", "--alerts", "--lang", "zh-CN")
			golden(t, fmt.Sprintf("reach-alerts-%d.zh", columns), strings.Join(lines, "\n")+"\n")
		}
		for _, c := range []struct {
			args []string
			code int
			says string
		}{
			{[]string{"--alerts", "--by", "day"}, cli.ExitRefused, "choose one of --by and --alerts"},
			{[]string{"--alerts", "--until", "yesterday"}, cli.ExitOK, "No alert was to sound in that time."},
		} {
			code, out, errOut := v.dalaba(append([]string{"reach", "--lang", "en"}, c.args...)...)
			if code != c.code || !strings.Contains(out+errOut, c.says) {
				t.Errorf("%s: exit %d, %s%s", c.args, code, out, errOut)
			}
		}
	})
}
