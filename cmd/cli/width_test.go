package cli

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"dalaba/controller/wording"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

func TestTheWidthOfText(t *testing.T) {
	for text, want := range map[string]int{"“发烧”": 6, "…": 1, "·": 1, "–": 1, "▶": 1, "✓": 1, "℃": 1, "①": 1, "第1期": 5} {
		if got := Columns.StringWidth(text); got != want {
			t.Errorf("%s is %d wide, want %d", text, got, want)
		}
	}
}

// The library reads the locale when a program starts.
func TestTheWidthOfTextDoesNotGoByTheLocale(t *testing.T) {
	for _, locale := range []string{"zh_CN.UTF-8", "ja_JP.UTF-8", "en_US.UTF-8", "C"} {
		c := exec.Command(os.Args[0], "-test.run", "^TestTheWidthOfText$")
		c.Env = append(os.Environ(), "LC_ALL="+locale)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", locale, err, out)
		}
	}
}

// A line that is redrawn fits in fonts that have “” and such two columns wide, too.
func TestABarFitsAndKeepsItsTitle(t *testing.T) {
	const long = "“老年人”在家里突然发烧了应该怎么办·以及什么时候必须马上去医院看医生"
	for _, c := range []struct {
		name                string
		width               int
		output, title, want string
	}{
		{"room for all", 80, "村口", "第1期 发烧了怎么办", "  村口 ############------------   30/60s 第1期 发烧了怎么办"},
		{"the gauge shrinks", 80, "村口", "第1期 老年人在家里突然发烧了应该怎么办第一讲", "  村口 #########---------   30/60s 第1期 老年人在家里突然发烧了应该怎么办第一讲"},
		{"then the title", 80, "村口", long, "  村口 ####----   30/60s “老年人”在家里突然发烧了应该怎么办·以及什么时候必…"},
		{"no gauge", 40, "村口", long, "  村口   30/60s “老年人”在家里突然…"},
		{"the name is cut", 40, "村东头老槐树下的大喇叭", long, "  村东头老槐…     30/60s “老年人”…"},
		{"no name", 40, "", "a.mp3", "  ###########-----------   30/60s a.mp3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := bar(c.width, c.output, 30*time.Second, time.Minute, "  30/60s", c.title)
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if w := widest.StringWidth(got); w >= c.width {
				t.Errorf("%d columns of %d: %q", w, c.width, got)
			}
		})
	}
}

func TestTextIsFolded(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"short", "short enough", "short enough"},
		{"at spaces", "one two three four five six", "one two three four\nfive six"},
		{"beside Chinese characters", "村东头老槐树下的大喇叭没有响", "村东头老槐树下的大喇\n叭没有响"},
		{"not before what closes", "村东头老槐树下大喇叭，没有响", "村东头老槐树下大喇\n叭，没有响"},
		{"not after what opens", "村东头老槐树下大喇（叭）没响", "村东头老槐树下大喇\n（叭）没响"},
		{"not in a word", "这是 dalaba-county.toml", "这是\ndalaba-county.toml"},
		{"a word that fits no line", "see /var/lib/dalaba/data/dalaba.db", "see /var/lib/dalaba/\ndata/dalaba.db"},
		{"as far in as it begins", "  one two three four five", "  one two three four\n  five"},
		{"colour takes no room", "\x1b[31mone two three four\x1b[0m", "\x1b[31mone two three four\x1b[0m"},
		{"a command to copy", "  dalaba alert --cancel 3", "  dalaba alert --cancel 3"},
		{"each line by itself", "one two three four five\nsix", "one two three four\nfive\nsix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := laid(c.text, 20); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if text := strings.Repeat("word ", 100); laid(text, 0) != text {
		t.Error("folded without a terminal")
	}
}

func TestTextIsFoldedWhereASentenceOrAClauseEnds(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"after a comma near the end of the line", "今天上午九点在村委会，请全体村民准时参加", "今天上午九点在村委会，\n请全体村民准时参加"},
		{"not after one far from it", "请注意，今天上午九点在村委会大院集合", "请注意，今天上午九点在村\n委会大院集合"},
		{"no character stands alone", "今天上午九点在村委会讲健康", "今天上午九点在村委会\n讲健康"},
		{"with its full stop", "今天上午九点在村委会讲健康。", "今天上午九点在村委会\n讲健康。"},
		{"not within what is to be typed", "没有声卡的可以写 \"wav:文件.wav\" 在这里", "没有声卡的可以写 \"wav:文\n件.wav\" 在这里"},
		{"a command is whole", "查看全部请运行 dalaba help 或问县里", "查看全部请运行 dalaba \nhelp 或问县里"},
		{"a word wider than a line", "0123456789012345678901234567890", "0123456789012345678901234\n567890"},
	} {
		got := fold(c.text, 25, 0, 0)
		if got != strings.ReplaceAll(c.want, " \n", "\n") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestALogLineIsFoldedUnderItsMessage(t *testing.T) {
	e := asrun.Event{At: time.Date(2026, 11, 28, 7, 30, 4, 0, time.UTC), Level: int(slog.LevelWarn), Message: "inbox file refused", Attrs: map[string]any{
		"path": "/srv/dalaba/inbox/" + strings.Repeat("long", 20) + ".mp3", "err": "first fault of a file that is long enough to be folded\nand another one",
	}}
	for _, lang := range []say.Lang{say.Chinese, say.English} {
		for _, width := range []int{40, 80} {
			for i, l := range strings.Split(LogLine(wording.Log{Lang: lang, Zone: time.UTC}, e, width, true), "\n") {
				l = colour.ReplaceAllString(l, "")
				if w := widest.StringWidth(l); w > width || i > 0 && !strings.HasPrefix(l, strings.Repeat(" ", 10)) {
					t.Errorf("%d columns of %d: %q", w, width, l)
				}
			}
		}
		if l := LogLine(wording.Log{Lang: lang, Zone: time.UTC}, e, 0, false); strings.Count(l, "\n") != 2 {
			t.Errorf("folded for no terminal: %q", l)
		}
	}
}
