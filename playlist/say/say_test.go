package say_test

import (
	"regexp"
	"slices"
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
