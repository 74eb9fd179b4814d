package county_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

func TestAnUpdateByHandTakesOverWhatItLeavesOut(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *county.Options) { c.Alerts.Drills = true })
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	w.freeze()
	first := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
		Title: "洪水", Text: "河水上涨。", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(townArea)}, Passes: 3, Life: 30 * time.Minute,
	}, false))
	eventually(t, "its clip is made", func() bool { clip, _ := b.holds(first.ID); return clip })
	old := must[store.Alert](t)(w.Store.Alert(t.Context(), first.ID))

	var v county.Verdict
	change := county.ByHand{Level: emergency.Orange}
	if s := w.call(t, "POST", "/api/alerts/update", url.Values{"id": {string(first.ID)}, "dry": {"1"}}, change, &v); s != http.StatusOK {
		t.Fatalf("not weighed: %d", s)
	}
	if want := []county.Field{{Name: "level", Was: "1", Now: "2"}}; !slices.Equal(v.Changes, want) || w.state(t, first.ID) != emergency.StateWaiting {
		t.Errorf("changes %+v, want %+v", v.Changes, want)
	}
	if s := w.call(t, "POST", "/api/alerts/update", url.Values{"id": {string(first.ID)}}, change, &v); s != http.StatusOK {
		t.Fatalf("not taken: %d", s)
	}
	now := must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID))
	if now.Level != emergency.Orange || now.Passes != 3 || !now.Ends.Equal(old.Ends) || !slices.Equal(now.Texts, old.Texts) || !slices.Equal(now.Areas, old.Areas) ||
		now.Detail.Clip == nil || now.Detail.Clip.ID != old.Detail.Clip.ID || !now.Detail.Spoken {
		t.Errorf("%+v, with the clip %+v", now, now.Detail.Clip)
	}
	if now.Detail.Rank != playlist.RankEmergency1 || w.state(t, first.ID) != emergency.StateCancelled {
		t.Errorf("its rank %d; the old one is %s", now.Detail.Rank, w.state(t, first.ID))
	}
	if got := must[county.Verdict](t)(w.UpdateByHand(t.Context(), v.ID, county.ByHand{Text: "洪水已退。"})); got.Preview.Words != "洪水\n洪水已退。" || got.Preview.Sound.Used != "speech" {
		t.Errorf("other words: %+v", got.Preview)
	} else {
		v = got
	}
	for _, c := range []struct {
		name string
		id   playlist.AlertID
		h    county.ByHand
		want string
	}{
		{"one that is over", first.ID, county.ByHand{}, "is over (cancelled)"},
		{"one that there is not", "nothing", county.ByHand{}, "no alert nothing"},
		{"a drill in the place of an emergency", v.ID, county.ByHand{Class: emergency.ClassDrillActual}, `class "actual drill" cannot take the place`},
	} {
		if _, err := w.UpdateByHand(t.Context(), c.id, c.h); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The title of a recording is not heard: another one leaves the recording as it is.
func TestAnUpdateByHandKeepsTheRecording(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	sound := must[[]byte](t)(os.ReadFile(filepath.Join("..", "data", "course", "testdata", "clip1.mp3")))
	h := county.ByHand{Title: "大风", Level: emergency.Orange, Scopes: []playlist.Scope{playlist.AreaScope(townArea)}, Audio: sound, AudioName: "wind.mp3", Passes: 3}
	first := must[county.Verdict](t)(w.TakeByHand(t.Context(), h, false))
	eventually(t, "its clip is made", func() bool { clip, _ := b.holds(first.ID); return clip })
	old := must[store.Alert](t)(w.Store.Alert(t.Context(), first.ID))
	v := must[county.Verdict](t)(w.UpdateByHand(t.Context(), first.ID, county.ByHand{Title: "台风"}))
	now := must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID))
	if text, _ := now.Text(""); text.Title != "台风" || now.Detail.Clip == nil || now.Detail.Clip.ID != old.Detail.Clip.ID || now.Detail.Spoken {
		t.Errorf("%+v, with the clip %+v", now.Texts, now.Detail.Clip)
	}
	other := must[[]byte](t)(os.ReadFile(filepath.Join("..", "data", "course", "testdata", "clip2.mp3")))
	v = must[county.Verdict](t)(w.UpdateByHand(t.Context(), v.ID, county.ByHand{Audio: other, AudioName: "typhoon.mp3"}))
	if !slices.ContainsFunc(v.Changes, func(f county.Field) bool { return f.Name == "sound" && f.Now == "typhoon.mp3" }) {
		t.Errorf("another sound: %+v", v.Changes)
	}
}

func TestAnUpdateByHandOfWhatOthersSentStaysWhereThatWas(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *county.Options) { c.Alerts.Unsigned = []string{county.FromCAP} })
	w.enrol(t, village, nil, speaker("村口", village, 420))
	w.enrol(t, other, nil, speaker("村西", other, 60))
	in := fromOutside("theirs", emergency.Yellow)
	in.Alert.Areas, in.Alert.NotAfter = []playlist.Area{village}, time.Now().Add(time.Hour)
	must[county.Verdict](t)(w.Take(t.Context(), in))
	v := must[county.Verdict](t)(w.UpdateByHand(t.Context(), "theirs", county.ByHand{Level: emergency.Red}))
	if v.Reaches.Controllers != 1 || v.Reaches.Residents != 420 || w.state(t, "theirs") != emergency.StateCancelled {
		t.Errorf("%+v; theirs is %s", v, w.state(t, "theirs"))
	}
	v = must[county.Verdict](t)(w.UpdateByHand(t.Context(), v.ID, county.ByHand{Scopes: []playlist.Scope{playlist.AreaScope(other)}}))
	if v.Reaches.Controllers != 1 || v.Reaches.Residents != 60 {
		t.Errorf("elsewhere: %+v", v)
	}
}

func TestAnAlertFromATemplate(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"台风撤离.toml":   "[alert]\ntitle = \"台风\"\ntext = \"请{地点}的居民于{时间}前撤离。\"\nlevel = \"橙\"\nrepeat = 2\nfor = \"2h\"\nareas = [\"341523100000\"]\n",
		"broken.toml": "[alert]\ntext = \"x\"\ncolour = \"red\"\n",
		"wrong.toml":  "[alert]\ntext = \"x\"\nlevel = \"purple\"\nclass = \"drill\"\nfor = \"1s\"\n",
		"notes.txt":   "no template",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, t.TempDir(), func(c *county.Options) { c.Alerts.Templates = dir })
	var all []county.Template
	w.call(t, "GET", "/api/templates", nil, nil, &all)
	if len(all) != 3 || all[2].Name != "台风撤离" || !slices.Equal(all[2].Blanks, []string{"地点", "时间"}) || len(all[2].Wrong) != 0 {
		t.Fatalf("%+v", all)
	}
	if !slices.ContainsFunc(all[0].Wrong, func(s string) bool { return strings.Contains(s, "broken.toml:3: alert.colour") }) || len(all[1].Wrong) != 3 {
		t.Errorf("what is wrong: %q, %q", all[0].Wrong, all[1].Wrong)
	}
	set := map[string]string{"地点": "大坝村", "时间": "18时"}
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{Template: "台风撤离", Set: set}, true))
	if p := v.Preview; p.Words != "台风\n请大坝村的居民于18时前撤离。" || p.Level != emergency.Orange || p.Passes != 2 || p.Ends.Sub(w.clock()).Round(time.Minute) != 2*time.Hour ||
		!slices.Equal(v.Scopes, []playlist.Scope{playlist.AreaScope(townArea)}) {
		t.Errorf("%+v for %v", p, v.Scopes)
	}
	v = must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{Template: "台风撤离", Set: set, Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(village)}}, true))
	if v.Preview.Level != emergency.Red || !slices.Equal(v.Scopes, []playlist.Scope{playlist.AreaScope(village)}) {
		t.Errorf("what is given goes first: %+v for %v", v.Preview, v.Scopes)
	}
	for _, c := range []struct {
		name string
		h    county.ByHand
		want string
	}{
		{"a blank is left", county.ByHand{Template: "台风撤离", Set: map[string]string{"时间": "18时"}}, "blanks left: 地点; add --set 地点=VALUE"},
		{"a blank that there is not", county.ByHand{Template: "台风撤离", Set: map[string]string{"日期": "今天"}}, "its blanks: 地点, 时间"},
		{"no such template", county.ByHand{Template: "../台风撤离"}, "there are: broken, wrong, 台风撤离"},
		{"a broken one", county.ByHand{Template: "broken"}, "the template is broken: "},
		{"values without a template", county.ByHand{Set: set}, "--set goes with --template"},
	} {
		if _, err := w.TakeByHand(t.Context(), c.h, true); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestASoundFromOutsideThatCannotBeAiredIsSpokenInstead(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *county.Options) { c.Alerts.Unsigned = []string{county.FromCAP} })
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	in := fromOutside("a", emergency.Red)
	in.Alert.Audio = []emergency.Audio{{Name: "a.mp3", Data: []byte("no sound")}}
	if v := must[county.Verdict](t)(w.Take(t.Context(), in)); v.State != emergency.StateWaiting {
		t.Errorf("%+v", v)
	}
	eventually(t, "it has a clip", func() bool { clip, _ := b.holds("a"); return clip })
	if d := must[store.Alert](t)(w.Store.Alert(t.Context(), "a")).Detail; !d.Spoken || !strings.Contains(d.NoClip, "a.mp3：") {
		t.Errorf("spoken: %v, because %q", d.Spoken, d.NoClip)
	}
	raw := []byte(`<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>b</identifier><sender>met</sender><sent>` + time.Now().Format("2006-01-02T15:04:05-07:00") + `</sent>
<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>
<description>暴雨预警</description>
<resource><resourceDesc>a.mp3</resourceDesc><mimeType>audio/mpeg</mimeType><uri>a.mp3</uri><derefUri>bm8gc291bmQ=</derefUri></resource></info></alert>`)
	raw = []byte(strings.Replace(string(raw), "+00:00</sent>", "-00:00</sent>", 1))
	var v county.Verdict
	if s := w.call(t, "POST", "/api/alerts/message", url.Values{"dry": {"1"}}, raw, &v); s != http.StatusOK || v.Preview.Sound.Used != "speech" || len(v.Preview.Sound.Why) == 0 {
		t.Errorf("%d, its sound: %+v", s, v.Preview)
	}
}
