package say_test

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"dalaba/playlist/say"
)

var verbs = regexp.MustCompile(`%(?:\[\d+\])?[-+# 0]*\d*(?:\.\d+)?[a-zA-Z%]`)

func TestEverySentenceStandsInBothLanguages(t *testing.T) {
	han := func(s string) bool {
		return slices.ContainsFunc([]rune(s), func(r rune) bool { return unicode.Is(unicode.Han, r) })
	}
	for key, e := range say.Words() {
		if e.Zh == "" || e.En == "" {
			t.Errorf("%s: zh %q, en %q", key, e.Zh, e.En)
		}
		if han(e.En) {
			t.Errorf("%s: English text holds Chinese: %q", key, e.En)
		}
		zh, en := verbs.FindAllString(e.Zh, -1), verbs.FindAllString(e.En, -1)
		slices.Sort(zh)
		slices.Sort(en)
		if !slices.Equal(strip(zh), strip(en)) {
			t.Errorf("%s: verbs differ: zh %q, en %q", key, zh, en)
		}
	}
}

// A controller does not know why the county names an alert no more: it may have been
// withdrawn, or others go first.
func TestAnAlertThatTheCountyDoesNotSendIsNotSaidToBeWithdrawn(t *testing.T) {
	for _, key := range []string{"alerts.reason_withdrawn", "log.alert withdrawn"} {
		e, ok := say.Words()[key]
		if !ok || strings.Contains(e.Zh, "撤") || strings.Contains(e.En, "withdr") {
			t.Errorf("%s: %+v", key, e)
		}
	}
}

// strip takes argument indexes away where every verb of a language counts up
// anyway, so that "%[1]s" and "%s" are one.
func strip(v []string) []string {
	out := make([]string, len(v))
	for i, s := range v {
		out[i] = regexp.MustCompile(`\[\d+\]`).ReplaceAllString(s, "")
	}
	slices.Sort(out)
	return out
}

var indexed = regexp.MustCompile(`%(?:\[(\d+)\])?[-+# 0]*\d*(?:\.\d+)?([a-zA-Z])`)

// args are arguments for a sentence, all counts of which are n.
func args(text string, n int) []any {
	var all []any
	next := 0
	for _, v := range indexed.FindAllStringSubmatch(strings.ReplaceAll(text, "%%", ""), -1) {
		if v[1] != "" {
			next, _ = strconv.Atoi(v[1])
			next--
		}
		for len(all) <= next {
			all = append(all, "x")
		}
		switch v[2] {
		case "d":
			all[next] = n
		case "f", "g":
			all[next] = 1.5
		}
		next++
	}
	return all
}

var (
	severalOfOne = regexp.MustCompile(`(?:^|[^.:\d-])\b1 (?:(?:more|sound|valid) )?([a-z]{2,}s|entries)\b`)
	noPlural     = regexp.MustCompile(`^(is|was|has|does|uses|waits)$`)
)

func TestOneThingIsNotSpokenOfAsSeveral(t *testing.T) {
	for key, e := range say.Words() {
		for n, several := range map[int]bool{1: false, 2: true} {
			text := say.M(key, args(e.En, n)...).In(say.English)
			if strings.ContainsAny(text, "{}") && strings.Contains(text, "|") || strings.Contains(text, "%!") && !strings.Contains(text, "%!(EXTRA") {
				t.Errorf("%s: %q", key, text)
			}
			for _, m := range severalOfOne.FindAllStringSubmatch(text, -1) {
				if !several && !noPlural.MatchString(m[1]) {
					t.Errorf("%s: %q in %q", key, m[0], text)
				}
			}
		}
	}
}

func TestTheCountBeforeAWordChoosesItsForm(t *testing.T) {
	for _, c := range []struct {
		m    say.Message
		want string
	}{
		{say.M("county.exported", "f", 1, 2), "f: 1 document, 2 clips"},
		{say.M("county.exported", "f", 0, int64(1)), "f: 0 documents, 1 clip"},
		{say.M("import.one_only", 1), "there is 1 file, and --title"},
		{say.M("alerts.airs_from", "noon", "a", 1), "it is to sound from noon on a, in earshot of 1 resident"},
		{say.M("alerts.airs_from", "noon", "a", 420), "it is to sound from noon on a, in earshot of 420 residents"},
	} {
		if got := c.m.In(say.English); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := c.m.In(say.Chinese); strings.Contains(got, "|") {
			t.Errorf("%q", got)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		wishes []string
		want   say.Lang
	}{
		{nil, say.Chinese},
		{[]string{"", "C.UTF-8", "POSIX"}, say.Chinese},
		{[]string{"", "en_US.UTF-8"}, say.English},
		{[]string{"zh_CN.UTF-8", "en"}, say.Chinese},
		{[]string{"en", "zh-CN"}, say.English},
		{[]string{"cmn-Hans"}, say.Chinese},
	} {
		if got := say.Choose(c.wishes...); got != c.want {
			t.Errorf("Choose(%q) = %s, want %s", c.wishes, got, c.want)
		}
	}
}

func TestAnErrorOfTheSystemIsSaidInChinese(t *testing.T) {
	for text, want := range map[string]string{
		"no such device":               "设备不存在",
		"open /dev/x: no such device":  "open /dev/x：设备不存在",
		"it broke":                     "it broke",
		"permission denied to the cat": "permission denied to the cat",
	} {
		if got := say.System(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestAFileThatCannotBeReadIsNamedOnce(t *testing.T) {
	err := &fs.PathError{Op: "open", Path: "a.toml", Err: errors.New("no such file or directory")}
	for _, c := range []struct {
		name   string
		err    error
		zh, en string
	}{
		{"alone", err, "a.toml：文件不存在", "open a.toml: no such file or directory"},
		{"in a sentence that names it", say.M("county.no_file", "a.toml", err), "读不了文件 a.toml：文件不存在", "cannot read a.toml: no such file or directory"},
		{"in one that names another", say.M("county.no_file", "b", err), "读不了文件 b：a.toml：文件不存在", "cannot read b: open a.toml: no such file or directory"},
	} {
		if zh, en := say.In(say.Chinese, c.err), say.In(say.English, c.err); zh != c.zh || en != c.en {
			t.Errorf("%s: %s; %s", c.name, zh, en)
		}
	}
}

func TestALogMessageOfAnEarlierVersionKeepsItsWords(t *testing.T) {
	now, ok := say.Log("fact not stored")
	if !ok {
		t.Fatal("no words")
	}
	old, ok := say.Log("state not kept")
	if !ok || old.In(say.Chinese) != now.In(say.Chinese) || old.In(say.English) != now.In(say.English) {
		t.Errorf("%v, %v", old, ok)
	}
	if _, ok := say.Log("nothing of the kind"); ok {
		t.Error("words for what is never logged")
	}
}
