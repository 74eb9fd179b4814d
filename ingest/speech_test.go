package ingest_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
)

const lesson = "乡亲们，天冷了，屋里更要通风。\n\n体温超过38.5℃，先喝水休息；或者去村卫生室。"

func TestSpeechBecomesAClip(t *testing.T) {
	t.Parallel()
	g := ingester(t)
	g.Speech.Words = map[string]string{"村卫生室": "村里的卫生室"}
	res, err := g.Text(t.Context(), lesson, ingest.Meta{Title: "通风", Series: "健康微课堂", Issue: 8}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := res.Clip
	if c.Text != lesson || c.Title != "通风" || c.Issue != 8 || c.Language != "zh-CN" {
		t.Errorf("clip %+v", c)
	}
	if c.Length() < 5*time.Second || c.Length() > 15*time.Second {
		t.Errorf("%d characters sound for %v", len([]rune(lesson)), c.Length())
	}
	f := res.Figures
	if f.SNR < 50 || f.Correlation < 0.9 || f.LUFS < -17 || f.LUFS > -15 || f.Peak > ingest.CeilingDBTP {
		t.Errorf("figures %+v", f)
	}
	// No silence is longer than the pauses of the settings and a breath.
	if gap := longestSilence(t, res.Path); gap > 1100*time.Millisecond {
		t.Errorf("silent for %v", gap)
	}
	slow := ingester(t)
	slow.Speech.Pace = 110
	slower, err := slow.Text(t.Context(), lesson, ingest.Meta{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if float64(slower.Clip.Frames) < 1.15*float64(c.Frames) {
		t.Errorf("%v at 110 words a minute, %v at 160", slower.Clip.Length(), c.Length())
	}
	if slower.Clip.Title != "乡亲们，天冷了，屋里更要通风" {
		t.Errorf("title %q", slower.Clip.Title)
	}
}

// longestSilence returns the longest stretch below -45 dBFS inside a clip.
func longestSilence(t *testing.T, path string) time.Duration {
	d, err := player.OpenClip(strings.NewReader(string(read(t, path))))
	if err != nil {
		t.Fatal(err)
	}
	var most, run, at int64
	buf := make([]int16, 480)
	for {
		n, err := d.Read(buf)
		loud := slices.ContainsFunc(buf[:n], func(x int16) bool { return x > 180 || x < -180 })
		if loud {
			if at > run { // not the silence at the beginning
				most = max(most, run)
			}
			run = 0
		} else {
			run += int64(n)
		}
		at += int64(n)
		if err != nil {
			return playlist.Length(most)
		}
	}
}

func TestTextIsSplitAtSentencesAndCommas(t *testing.T) {
	s := ingest.Speech{Words: map[string]string{"六安": "陆安", "六安瓜片": "陆安瓜片", "布洛芬": "布洛芬片"}}
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"sentences", "第一句。第二句！第三句？", []string{"第一句。", "第二句！", "第三句？", ""}},
		{"paragraphs", "甲。\n\n乙。\r\n丙", []string{"甲。", "", "乙。", "", "丙", ""}},
		{"an ellipsis and a quotation", "他说：“走吧。”然后……走了。", []string{"他说：“走吧。”", "然后……", "走了。", ""}},
		{"a decimal is no end", "体温37.5度。It is 3.5. Yes.", []string{"体温三十七点五度。", "It is 三点五.", "Yes.", ""}},
		{"the pronunciation list, longest first", "六安的六安瓜片，布洛芬。", []string{"陆安的陆安瓜片，布洛芬片。", ""}},
		{"nothing to say", " \n。！……\n——", nil},
	} {
		if got := s.Sentences(c.text, ""); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	long := strings.Repeat("一二三四五六七八九，", 100) + strings.Repeat("长", 900)
	parts := s.Sentences(long, "zh-CN")
	for _, p := range parts {
		if n := len([]rune(p)); n > 400 {
			t.Errorf("a part of %d characters", n)
		}
	}
	if joined := strings.Join(parts, ""); joined != long {
		t.Errorf("parts are not the whole: %d of %d bytes", len(joined), len(long))
	}
	if got := s.Sentences("Take 2 tablets.", "en"); got[0] != "Take 2 tablets." {
		t.Errorf("English reads %q", got)
	}
}

func TestTextThatCannotBeSpokenIsRefused(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no-such-program")
	for _, c := range []struct {
		name, text, want string
		speech           ingest.Speech
	}{
		{"nothing", "", "ingest.text_empty", ingest.Speech{}},
		{"only signs", "……。！", "ingest.text_empty", ingest.Speech{}},
		{"too long", strings.Repeat("好", 101), "ingest.text_long", ingest.Speech{Most: 100}},
		{"no program", "你好。", "ingest.no_speech", ingest.Speech{Command: []string{missing}}},
		{"a program that fails", "你好。", "ingest.speech", ingest.Speech{Command: []string{"false"}}},
		{"a program without output", "你好。", "ingest.speech", ingest.Speech{Command: []string{"true"}}},
		{"a program without end", "你好。", "ingest.speech", ingest.Speech{Command: []string{"cat", "/dev/zero"}}},
		{"a program that writes silence", "你好。", "ingest.unspoken", ingest.Speech{Command: []string{"sox", "-n", "-t", "wav", "-", "trim", "0", "1"}}},
	} {
		g := ingester(t)
		g.Speech = c.speech
		if _, err := g.Text(t.Context(), c.text, ingest.Meta{}, nil); refused(t, err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		empty(t, g)
	}
}

func TestTextIsNeverTakenForOptions(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Fatal(err)
	}
	g := ingester(t)
	res, err := g.Text(t.Context(), "--help\n-w /tmp/x.wav 你好，大家好。\n$(touch pwned) `id`", ingest.Meta{}, nil)
	if err != nil || res.Clip.Length() < time.Second {
		t.Errorf("%v, %v", res.Clip.Length(), err)
	}
}

func TestRecipesOfDifferentPronunciationListsDiffer(t *testing.T) {
	words := map[string]string{"六安": "陆安"}
	a, b := ingest.Speech{}, ingest.Speech{Words: words}
	if a.Recipe() == b.Recipe() || a.Recipe() != (ingest.Speech{}).Recipe() {
		t.Error("a recipe must tell pronunciation lists apart, and nothing else")
	}
}
