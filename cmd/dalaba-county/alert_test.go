package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist/emergency"
)

// weighed is an alert as the county shows it before it sounds. Its village is named so that
// lines are as long as they can be.
func weighed() county.Verdict {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	names := []string{}
	for i := range 30 {
		names = append(names, fmt.Sprintf("%s%d", longVillage, i))
	}
	few := county.Villages{Controllers: 30, Residents: 12345, Names: names[:10]}
	return county.Verdict{
		ID: alertID, State: emergency.StateWaiting, Reaches: county.Reaches{Controllers: 30, Online: 12, Outputs: 31, Residents: 123456, Names: names},
		Changes: []county.Field{{Name: "level", Was: "1", Now: "2"}, {Name: "ends", Was: at.Format(time.RFC3339), Now: at.Add(time.Hour).Format(time.RFC3339)}},
		Preview: &county.Preview{
			Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Orange, Title: longTitle, Name: longTitle, Words: longTitle + "\n" + strings.Repeat("请撤离。", 60),
			Sound: county.SoundPreview{Used: "speech", Why: []string{"a.mp3: no sound"}}, Ends: at, Cut: true, Passes: 3, Offline: few, Astray: few, Faulty: few,
		},
	}
}

func TestWhatIsShownBeforeAnAlertSounds(t *testing.T) {
	emergencyAlert, drill, update, sound, second := weighed(), weighed(), weighed(), weighed(), weighed()
	drill.Preview.Class = emergency.ClassDrillActual
	update.Preview.Kind = emergency.KindUpdate
	sound.Preview.Sound = county.SoundPreview{Used: "clip", Name: "a.mp3", Format: "mp3/mp3", Length: 12340 * time.Millisecond}
	second.State, second.Second = emergency.StateReview, true
	message := filepath.Join(t.TempDir(), "m.xml")
	if err := os.WriteFile(message, []byte("<alert/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		v      county.Verdict
		zh, en []string
	}{
		{"an emergency", emergencyAlert,
			[]string{"【橙色（2级）】应急消息", "请撤离。", "合成语音", "有效到：2026-11-23 11:00", "播 3 遍", "其中离线 30 台（居民 12345 人）", "区划与平台不符 30 台", "有故障 30 台", "另 24 个"},
			[]string{"[orange (level 2)] emergency", "sounding 3 times", "offline: 30 controllers (12345 residents)", "with a fault: 30", "a sound cannot be used", "level: red (level 1) -> orange (level 2)"}},
		{"a drill", drill, []string{"【演练】实际演练", "演练。演练。以下是演练，不是真实警报。"}, []string{"[DRILL] actual drill, orange (level 2): no real alert"}},
		{"an update", update, []string{"级别：红色（1级） → 橙色（2级）", "11-23 11:00 → 11-23 12:00"}, []string{"until: 11-23 11:00 -> 11-23 12:00"}},
		{"a sound", sound, []string{"声音：a.mp3，12.3 秒", "文字（播音频，不读）"}, []string{"sound: a.mp3, 12.3 s", "text (not read"}},
		{"two persons", second, []string{"要两个人"}, []string{"takes two persons"}},
	} {
		server, token := served(t, map[string]any{"/api/alerts/message": c.v})
		for lang, wants := range map[string][]string{"zh-CN": c.zh, "en": c.en} {
			t.Setenv("LANG", lang+".UTF-8")
			lines := onTerminal(t, 80, "alert", "--message", message, "--dry-run", "--lang", lang, "--server", server, "--token-file", token)
			for _, l := range lines {
				if w := widest.StringWidth(l); w > 80 {
					t.Errorf("%s: %d columns: %q", c.name, w, l)
				}
			}
			all := strings.Join(lines, "\n")
			for _, want := range wants {
				if !strings.Contains(strings.Join(strings.Fields(all), " "), strings.Join(strings.Fields(want), " ")) {
					t.Errorf("%s: no %q in\n%s", c.name, want, all)
				}
			}
		}
	}
	a := &app{App: cli.New("dalaba-county", []string{"--lang", "en"}, nil, os.Stdout, os.Stderr)}
	for want, v := range map[string]county.Verdict{
		`sound orange (level 2) "`: emergencyAlert, `sound the DRILL (actual drill) "`: drill, `in the place of the alert before it`: update, "It makes no sound": {State: emergency.StateLogged},
	} {
		if got := a.question(v); !strings.Contains(got, want) {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
}

// following is a county in which an alert is told of by one account after another. It calls
// asked when it is asked for one.
func following(t *testing.T, asked func(), accounts ...county.AlertAccount) (args []string) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = county.Verdict{ID: alertID, State: emergency.StateWaiting, Preview: &county.Preview{}}
		if r.URL.Path == "/api/account" {
			asked()
			answer = accounts[min(int(n.Add(1)), len(accounts))-1]
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	for _, name := range []string{"token", "m.xml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("t"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--lang", "en", "--server", server.URL, "--token-file", filepath.Join(dir, "token"), "alert", "--message", filepath.Join(dir, "m.xml"), "--yes", "--wait"}
}

func TestAnAlertIsFollowedToItsEnd(t *testing.T) {
	account := func(state emergency.State, completed int) county.AlertAccount {
		return county.AlertAccount{
			Alert: store.Alert{State: state, Alert: emergency.Alert{ID: alertID}}, Controllers: county.Ladder{Targeted: 2, Delivered: 1, Started: completed, Completed: completed},
			All: []county.AlertTarget{{Controller: "a", Name: "大坝村", Outputs: 1, Completed: min(completed, 1)}, {Controller: "b", Name: "小李村", Outputs: 1, Completed: max(completed-1, 0)}},
		}
	}
	for _, c := range []struct {
		name     string
		accounts []county.AlertAccount
		wait     string
		code     int
		want     []string
	}{
		{"all are through", []county.AlertAccount{account(emergency.StateWaiting, 0), account(emergency.StateAiring, 2)}, "1h", cli.ExitOK, []string{"of 2 controllers: 1 have it, 2 have begun, 2 are through"}},
		{"its time is over", []county.AlertAccount{account(emergency.StatePartial, 1)}, "1h", cli.ExitFailed, []string{"not aired whole on 1 of 2 controllers", "b 小李村 offline"}},
		{"the wait is over", []county.AlertAccount{account(emergency.StateAiring, 0)}, "1ms", cli.ExitFailed, []string{"not aired whole on 2 of 2 controllers"}},
		{"no second person came", []county.AlertAccount{account(emergency.StateReview, 0), account(emergency.StateRefused, 0)}, "1h", cli.ExitFailed, []string{"has not sounded: refused"}},
	} {
		var out strings.Builder
		code := run(t.Context(), append(following(t, func() {}, c.accounts...), c.wait), nil, &out, &out)
		text := strings.Join(strings.Fields(out.String()), " ")
		if code != c.code {
			t.Errorf("%s: exit %d: %s", c.name, code, text)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", c.name, want, text)
			}
		}
	}
}

func TestWhoStopsFollowingAnAlertIsToldThatItGoesOn(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	args := following(t, stop, county.AlertAccount{Alert: store.Alert{State: emergency.StateAiring}, Controllers: county.Ladder{Targeted: 1}})
	var out strings.Builder
	if code := run(ctx, append(args, "1h"), nil, &out, &out); code == cli.ExitOK || !strings.Contains(out.String(), alertID+" goes on") {
		t.Errorf("exit %d: %s", code, &out)
	}
}

func TestTheListAndTheAccountTellOfAWaitForAPerson(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	of := func(s emergency.State, change func(*store.Alert)) store.Alert {
		a := store.Alert{Received: at, Ends: at.Add(time.Hour), Source: "cap", State: s, Held: at.Add(5 * time.Minute), Alert: emergency.Alert{
			ID: alertID, Class: emergency.ClassEmergency, Level: emergency.Yellow, Texts: []emergency.Text{{Language: "zh-CN", Title: "暴雨"}},
		}}
		if change != nil {
			change(&a)
		}
		return a
	}
	second := of(emergency.StateReview, func(a *store.Alert) { a.Detail.Second = true })
	declined := of(emergency.StateRefused, func(a *store.Alert) {
		a.Why, a.Detail.Declined, a.Detail.Decider = string(emergency.ReasonDeclined), "误报", "wang"
	})
	released := of(emergency.StateWaiting, func(a *store.Alert) { a.Detail.Released, a.Detail.Decider = at, "wang" })
	alone := of(emergency.StateWaiting, func(a *store.Alert) { a.Detail.Released = at })
	spoken := of(emergency.StateWaiting, func(a *store.Alert) { a.Detail.Spoken, a.Detail.NoClip = true, "a.mp3：坏了" })
	for _, c := range []struct {
		name, verb string
		a          store.Alert
		want       string
	}{
		{"the list", "list", of(emergency.StateReview, nil), "waits for a duty officer until 11:05:00, and then sounds by itself"},
		{"the list, two persons", "list", second, "waits for a second person until 11:05:00; without one it does not sound"},
		{"the list, refused by a person", "list", declined, "a duty officer refused it (wang, 误报)"},
		{"the account", "account", of(emergency.StateReview, nil), "waiting for a person (waits for a duty officer until 11:05:00"},
		{"the account, refused by a person", "account", declined, "refused (a duty officer refused it (wang, 误报))"},
		{"the account, released", "account", released, "by wang"},
		{"the account, released by nobody", "account", alone, "by itself: the wait was over"},
		{"the account, spoken", "account", spoken, "the sound could not be used (a.mp3：坏了); the words are spoken instead"},
	} {
		server, token := served(t, map[string]any{"/api/alerts": []county.Listed{{Alert: c.a}}, "/api/account": county.AlertAccount{Alert: c.a}})
		args := []string{"--lang", "en", "--server", server, "--token-file", token, "alert", c.verb}
		if c.verb == "account" {
			args = append(args, alertID)
		}
		var out strings.Builder
		if code := run(t.Context(), args, nil, &out, &out); code != cli.ExitOK || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), c.want) {
			t.Errorf("%s: exit %d, no %q in\n%s", c.name, code, c.want, &out)
		}
	}
}
