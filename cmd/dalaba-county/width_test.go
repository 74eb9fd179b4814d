package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// widest measures text in the font in which it is widest.
var widest = &runewidth.Condition{EastAsianWidth: true}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// onTerminal runs the program on a terminal and returns the lines that it wrote, without
// colours.
func onTerminal(t *testing.T, columns uint16, args ...string) []string {
	t.Helper()
	reader, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err) // this machine has no terminals
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	n, err := unix.IoctlGetInt(int(reader.Fd()), unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetPointerInt(int(reader.Fd()), unix.TIOCSPTLCK, 0))
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(err)
	must(unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	wrote := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(reader) // ends with an error once the screen is closed
		wrote <- b
	}()
	run(t.Context(), args, screen, screen, screen)
	must(screen.Close())
	text := string(<-wrote)
	must(reader.Close())
	return strings.Split(strings.TrimRight(strings.ReplaceAll(escapes.ReplaceAllString(text, ""), "\r\n", "\n"), "\n"), "\n")
}

const (
	longTitle   = "老年人在家里突然发烧了应该怎么办以及什么时候必须马上去医院看医生"
	longVillage = "三河镇人民政府驻地东头老槐树村广播站"
	controller  = "ctl-341523100201-0001"
	alertID     = "flood@emergency.example.cn,341523000000202611231100"
)

// longCounty is a county in which all names are long, by the path of its API.
func longCounty() map[string]any {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	health, _ := json.Marshal(link.Health{})
	reach := func(key, title string) county.ReachLine {
		f := 2.5
		return county.ReachLine{Reach: asrun.Reach{Key: key, Title: title, Planned: 12345, Completed: 12000, Unknown: 300, PersonAirings: 12345678, Reached: 234567, Residents: 345678}, Frequency: &f}
	}
	unsent := []county.Shortfall{{Scope: "area:341523100201", Why: "county.unsent_rank", Unsent: true}}
	return map[string]any{
		"/api/status": county.CountyStatus{
			Name: "舒城县融媒体中心应急广播平台", Area: "341523000000", Version: "v1.2.3-45-g0123456789ab", Fleet: 395, Online: 390, Alerts: 123, Unsent: 12, Review: 2, Residents: 987654, Store: "ok",
			URL: "https://broadcast.shucheng.example.cn:8443", Servers: []string{"tls://broadcast.shucheng.example.cn:4222", "tls://backup.shucheng.example.cn:4222"},
			Print: strings.Repeat("ab:", 31) + "ab", Keys: []county.TrustedKey{{Role: "playlist", Fingerprint: strings.Repeat("cd:", 31) + "cd"}},
			LastBackup: at, Backups: 7, Database: "sqlite", Losses: []store.Loss{{At: at, Why: "database disk image is malformed: page 1234", Kept: at, Aside: "/var/lib/dalaba-county/damaged/county-20261123.db"}},
		},
		"/api/fleet": []county.Status{
			{Controller: store.Controller{ID: controller, Name: longVillage, Area: "341523100201", State: store.Active, Seen: at, Version: "v1.2.3-45-g0123456789ab", Health: health,
				Have: map[string]int64{"manifest area:341523": 12, "manifest area:341523100201": 123}, Unsent: 123456, Clock: "untrusted", Outputs: []store.Output{{Residents: 123456}}},
				Online: true, Faults: []string{"output 村东头老槐树下的大喇叭甲: 声音设备没有响应", "clock untrusted"}},
			{Controller: store.Controller{ID: "ctl-341523100202-0002", Name: "x", Area: "341523100202", State: store.Pending}},
		},
		"/api/codes": []store.Code{{Controller: controller, Name: longVillage, Area: "341523100201", Expires: at}},
		"/api/controllers/" + controller + "/log": []county.LogLine{
			{At: at, Event: &store.Event{Message: "output does not open", Attrs: json.RawMessage(`{"device":"alsa:hw:CARD=PCH,DEV=0","err":"no such device","output":"村东头老槐树下的大喇叭甲"}`)}},
			{At: at, Row: &asrun.Row{Output: "村东头老槐树下的大喇叭甲", Clip: "c", Title: longTitle, Issue: 123, Outcome: asrun.Complete}},
		},
		"/api/manifests": []store.Envelope{{Scope: "area:341523100201", Version: 123, At: at, Note: longTitle}},
		"/api/delivery": []county.Delivered{
			{Controller: controller, Name: longVillage, Step: county.StepFetched, Clips: 1234, Present: 1200, Online: true, Why: "clip " + longTitle + " is missing"},
		},
		"/api/reach": county.ReachReport{By: store.ByClip, Lines: []county.ReachLine{reach("a", longTitle), reach("", "")}, Total: reach("", "")},
		"/api/alerts": []county.Listed{{Short: unsent, Alert: store.Alert{Received: at, Source: "hand", State: emergency.StateAiring, Alert: emergency.Alert{
			ID: alertID, Event: "洪水", Class: emergency.ClassEmergency, Level: emergency.Red, Texts: []emergency.Text{{Language: "zh-CN", Title: longTitle}},
		}}, Controllers: county.Ladder{Targeted: 1234, Started: 1200, Completed: 1100}}, {
			Alert: store.Alert{Received: at, Source: "ebd", State: emergency.StateCancelled, Alert: emergency.Alert{ID: alertID, Class: emergency.ClassDrillActual}},
			Ended: &county.Ending{By: alertID + " off", Kind: emergency.KindCancel, Sender: "县应急管理局", At: at.Add(5 * time.Minute)},
		}, {
			Alert: store.Alert{Received: at, Source: "cap", State: emergency.StateCancelled, Alert: emergency.Alert{ID: alertID, Class: emergency.ClassEmergency, Level: emergency.Blue}},
			Ended: &county.Ending{By: alertID + " 2", Kind: emergency.KindUpdate, Sender: "县应急管理局", At: at.Add(5 * time.Minute)},
		}, {
			Alert:   store.Alert{Received: at, Source: "ebd", State: emergency.StateLogged, Alert: emergency.Alert{ID: alertID + " off", Kind: emergency.KindCancel, Refs: []playlist.AlertID{"unheard"}}},
			Cancels: county.CancelledUnknown,
		}},
		"/api/account": longAccount(100),
		"/api/times":   county.TimesReport{By: county.TimesByVillage, Class: emergency.ClassEmergency, Lines: []county.TimesLine{longTimes(controller, longVillage)}, Total: longTimes("", "")},
	}
}

// longAccount is an account of an alert with so many silent controllers.
func longAccount(silent int) county.AlertAccount {
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	acc := county.AlertAccount{
		Short: []county.Shortfall{{Scope: "area:341523100201", Why: "county.unsent_rank", Unsent: true}},
		Alert: store.Alert{Received: at, Ends: at.Add(time.Hour), Source: "hand", State: emergency.StatePartial, Alert: emergency.Alert{
			ID: alertID, Class: emergency.ClassEmergency, Level: emergency.Red, SenderName: "舒城县应急管理局应急指挥中心值班室", Texts: []emergency.Text{{Title: longTitle}},
		}},
		Controllers: county.Ladder{Targeted: 1234, Online: 1234, Delivered: 1234, Started: 1234, Completed: 1234},
		Outputs:     county.Ladder{Targeted: 123456, Online: 123456, Delivered: 123456, Started: 123456, Completed: 123456},
	}
	for i := range silent {
		t := county.AlertTarget{Controller: controller, Name: longVillage, Area: "341523100201", Residents: 420, Silent: county.SilenceAway, Seen: at.Add(-time.Duration(i) * time.Hour)}
		switch i % 10 {
		case 7:
			t.Silent, t.Why = county.SilenceRefused, emergency.ReasonDrill
		case 8:
			t.Silent, t.Reason = county.SilenceTried, asrun.ReasonDevice
		case 9:
			t.Silent = county.SilenceFault
		}
		acc.Silent = append(acc.Silent, t)
	}
	return acc
}

func longTimes(key, name string) county.TimesLine {
	share, p50, p99 := 0.97, 3.5, 301.5
	r := county.Rate{Numerator: 12000, Denominator: 12345, Unknown: 45, Value: &share}
	return county.TimesLine{Key: key, Name: name, Targeted: 12345, Heard: 12200, Nothing: 100, Unknown: 45, Automatic: r, Review: r, P50: &p50, P99: &p99, Max: &p99}
}

// served is the address of a county that answers so, and the file of a token for it.
func served(t *testing.T, answers map[string]any) (url, token string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(county.ZoneHeader, "Asia/Shanghai")
		if err := json.NewEncoder(w).Encode(answers[r.URL.Path]); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	token = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, token
}

func TestWhatIsNotSentIsShown(t *testing.T) {
	answers := longCounty()
	answers["/api/alerts/message"] = county.Verdict{
		ID: alertID, State: emergency.StateWaiting, Short: []county.Shortfall{{Scope: "group:x", Why: "county.sent_simpler"}},
		Cuts: []emergency.Cut{{What: emergency.CutText, Had: 20_000, Kept: 8000}},
	}
	server, token := served(t, answers)
	message := filepath.Join(t.TempDir(), "m.xml")
	if err := os.WriteFile(message, []byte("<alert/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"status", "--lang", "en"}, []string{"123 alerts in force", "12 of them are not sent", "2 alerts wait for a person"}},
		{[]string{"status", "--lang", "zh"}, []string{"其中 12 条没有下发"}},
		{[]string{"alert", "list", "--lang", "en"}, []string{"not sent everywhere"}},
		{[]string{"alert", "list", "--lang", "zh"}, []string{"有处没有下发"}},
		{[]string{"alert", "account", alertID, "--lang", "en"}, []string{"area:341523100201: not sent: 64 other alerts go first there"}},
		{[]string{"alert", "account", alertID, "--lang", "zh"}, []string{"area:341523100201：没有下发"}},
		{[]string{"alert", "list", "--lang", "en"}, []string{
			"1200/1234", "red (level 1)", "11-23 11:05:00 by 县应急管理局", "actual drill",
			"11-23 11:05:00 by 县应急管理局 with " + alertID + " 2", "it cancels an alert that has not come (unheard)",
		}},
		{[]string{"alert", "list", "--lang", "zh"}, []string{"红色（1级）", "11-23 11:05:00 由县应急管理局取消", "它要取消的消息没有来过（unheard）"}},
		{[]string{"alert", "account", alertID, "--lang", "en"}, []string{
			"Silent: 100 controllers, 42000 residents", "no contact (the longest since", "70 controllers, 29400 residents", "and 67 more; --all lists them",
			"refused there (drills do not sound here", "tried, and nothing was heard (the sound device did not answer): 10 controllers", "it tells of a fault: 10 controllers",
		}},
		{[]string{"alert", "account", alertID, "--lang", "zh"}, []string{
			"没有动静的终端 100 台，居民 42000 人", "联系不上（最久的自", "还有 67 台，加 --all 逐台列出", "播了但没有声音（声音设备没有响应）：10 台",
		}},
		{[]string{"alert", "times", "--lang", "zh"}, []string{"12000/12345 97%", "类别：应急"}},
		{[]string{"alert", "--message", message, "--yes", "--lang", "en"}, []string{"a text of 20000 characters is too long; about 8000 kept", "group:x: sent, but simplified"}},
		{[]string{"alert", "--message", message, "--yes", "--lang", "zh"}, []string{"文字太长（20000 字）", "group:x：已下发，但内容太多"}},
	} {
		var out strings.Builder
		if code := run(t.Context(), append(c.args, "--server", server, "--token-file", token), nil, &out, &out); code != cli.ExitOK {
			t.Errorf("%v: exit %d: %s", c.args, code, &out)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v: no %q in\n%s", c.args, want, &out)
			}
		}
	}
}

// Nothing that a verb shows is wider than the terminal, however long names are, and what
// matters most is whole.
func TestWhatAVerbShowsFitsTheTerminal(t *testing.T) {
	server, token := served(t, longCounty())
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_MESSAGES", "")
	for _, c := range []struct {
		args  []string
		whole []string // what is not cut or folded at 80 columns
	}{
		{[]string{"status"}, []string{"broadcast.shucheng.example.cn:8443"}},
		{[]string{"fleet"}, []string{controller, "123456", "clock untrusted"}},
		{[]string{"enrol", "codes"}, []string{controller, "341523100201", "2026-11-23 11:00"}},
		{[]string{"log", controller}, []string{"2026-11-23 11:00:00"}},
		{[]string{"versions"}, []string{"area:341523100201", "123", "2026-11-23 11:00"}},
		{[]string{"delivery", "--area", "341523100201"}, []string{controller, "1200/1234"}},
		{[]string{"reach"}, []string{"12000/12345 97%", "234567/345678 68%", "12345678"}},
		{[]string{"alert", "list"}, []string{"11-23 11:00:00", alertID}},
		{[]string{"alert", "account", alertID}, []string{"123456", controller}},
		{[]string{"alert", "account", alertID, "--all"}, []string{"123456", controller, "11-23 11:00:00"}},
		{[]string{"alert", "times"}, []string{"12000/12345 97%", "3.5", "301.5"}},
	} {
		for _, locale := range []string{"zh_CN.UTF-8", "en_US.UTF-8", "C"} {
			for _, columns := range []uint16{80, 40} {
				t.Run(strings.Join(c.args, " ")+" "+locale, func(t *testing.T) {
					t.Setenv("LANG", locale)
					lines := onTerminal(t, columns, append(c.args, "--server", server, "--token-file", token)...)
					all := strings.Join(lines, "\n")
					for _, l := range lines {
						if w := widest.StringWidth(l); w > int(columns) {
							t.Errorf("%d columns: %q", w, l)
						}
					}
					for _, whole := range c.whole {
						if columns == 80 && !strings.Contains(all, whole) {
							t.Errorf("%q is not whole", whole)
						}
					}
					if t.Failed() {
						t.Log("\n" + all)
					}
				})
			}
		}
	}
}

// The account of an alert fits a screen, however many controllers are silent; --all lists
// each of them.
func TestTheAccountOfAnAlertFitsAScreen(t *testing.T) {
	for _, silent := range []int{0, 3, 100, 1000} {
		answers := longCounty()
		answers["/api/account"] = longAccount(silent)
		server, token := served(t, answers)
		for _, lang := range []string{"zh", "en"} {
			show := func(more ...string) string {
				var out strings.Builder
				args := append([]string{"alert", "account", alertID, "--lang", lang, "--server", server, "--token-file", token}, more...)
				if code := run(t.Context(), args, nil, &out, &out); code != cli.ExitOK {
					t.Fatalf("exit %d: %s", code, &out)
				}
				return out.String()
			}
			short, whole := show(), show("--all")
			if n := strings.Count(short, "\n"); n > 30 {
				t.Errorf("%d silent, %s: %d lines\n%s", silent, lang, n, short)
			}
			if n := strings.Count(whole, controller); n != silent {
				t.Errorf("%d silent, %s: --all lists %d", silent, lang, n)
			}
			if more := strings.Contains(short, "--all"); more != (silent > 10) {
				t.Errorf("%d silent, %s: it tells of --all: %v\n%s", silent, lang, more, short)
			}
		}
	}
}

// The help of each verb fits a terminal of 80 columns. Commands to copy are not folded.
func TestHelpFitsTheTerminal(t *testing.T) {
	for _, lang := range []string{"zh-CN", "en"} {
		a := &app{App: cli.New("dalaba-county", []string{"--lang", lang}, nil, io.Discard, io.Discard)}
		var all func(c *cobra.Command, path []string)
		all = func(c *cobra.Command, path []string) {
			var out strings.Builder
			args := append(path, "--help", "--lang", lang)
			if code := run(t.Context(), args, nil, &out, &out); code != cli.ExitOK {
				t.Errorf("%v: exit %d", args, code)
			}
			for line := range strings.Lines(out.String()) {
				if w := widest.StringWidth(strings.TrimRight(line, "\n")); w > 80 {
					t.Errorf("%v: %d columns: %q", args, w, line)
				}
			}
			for _, v := range c.Commands() {
				all(v, append(path[:len(path):len(path)], v.Name()))
			}
		}
		all(a.root(), nil)
	}
}
