package course_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"dalaba/data/course"
)

func lessons(t *testing.T) []course.Lesson {
	t.Helper()
	all, err := course.Lessons()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// spoken counts the characters that a listener hears: Han characters and
// digits.
func spoken(s string) int {
	n := 0
	for _, r := range s {
		if unicode.Is(unicode.Han, r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

func TestTheCourseHas31IssuesInOrder(t *testing.T) {
	all := lessons(t)
	if len(all) != 31 {
		t.Fatalf("%d issues, want 31", len(all))
	}
	titles, texts := map[string]bool{}, map[string]bool{}
	for i, l := range all {
		if l.Issue != i+1 {
			t.Errorf("issue %d stands at place %d", l.Issue, i+1)
		}
		if l.Series != "健康微课堂" || l.Language != "zh-CN" {
			t.Errorf("issue %d: series %q, language %q", l.Issue, l.Series, l.Language)
		}
		if n := utf8.RuneCountInString(l.Title); n == 0 || n > 16 {
			t.Errorf("issue %d: title %q has %d characters, want 1 to 16", l.Issue, l.Title, n)
		}
		if titles[l.Title] || texts[l.Text] {
			t.Errorf("issue %d repeats a title or a text: %s", l.Issue, l.Title)
		}
		titles[l.Title], texts[l.Text] = true, true
	}
}

func TestFilesHaveTheNumbersOfTheirIssues(t *testing.T) {
	names, err := filepath.Glob("*.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var l course.Lesson
		if err := toml.Unmarshal(b, &l); err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(name[:2])
		if err != nil || n != l.Issue {
			t.Errorf("%s holds issue %d", name, l.Issue)
		}
	}
}

func TestEveryTextIsAboutHalfAMinuteLong(t *testing.T) {
	for _, l := range lessons(t) {
		if n := spoken(l.Text); n < 105 || n > 120 {
			t.Errorf("issue %d %s: %d characters, want 105 to 120", l.Issue, l.Title, n)
		}
	}
}

// flaw returns the first thing in s that must not be on the air, or nothing.
func flaw(s string) string {
	for _, r := range s {
		if !unicode.Is(unicode.Han, r) && !strings.ContainsRune("，。、？！：；", r) {
			return strconv.QuoteRune(r)
		}
	}
	return forbidden.FindString(s)
}

// Doses, promised cures and outdated medical advice.
var forbidden = regexp.MustCompile(`毫克|毫升|每次.{1,2}[片粒袋支]|[一二两三四半几]片|加倍|根治|包治|治愈|特效|` +
	`保证.{0,4}好|多盖被子|捂汗|发发汗|酒精擦浴|用酒精擦一擦|不用看医生|不用去医院`)

func TestNoTextHoldsForbiddenCharactersOrMedicalAdvice(t *testing.T) {
	for _, l := range lessons(t) {
		if f := flaw(l.Title + l.Text); f != "" {
			t.Errorf("issue %d %s: %s has no place here", l.Issue, l.Title, f)
		}
		if end, _ := utf8.DecodeLastRuneInString(l.Text); !strings.ContainsRune("。！？", end) {
			t.Errorf("issue %d %s: the last sentence does not end", l.Issue, l.Title)
		}
		for _, pair := range []string{"，，", "。。", "，。", "、，", "。，"} {
			if strings.Contains(l.Text, pair) {
				t.Errorf("issue %d %s: %q", l.Issue, l.Title, pair)
			}
		}
	}
}

func TestForbiddenTextIsFound(t *testing.T) {
	for name, s := range map[string]string{
		"a dose in milligrams":       "五百毫克",
		"a number of tablets":        "每次两片",
		"a Latin letter":             "打A座",
		"a digit":                    "拨打120",
		"a bracket":                  "退烧药（一种）",
		"a cure claim":               "这药能根治",
		"sweating it out":            "捂汗就好",
		"an alcohol rub":             "酒精擦浴",
		"a line break":               "第一句。\n第二句。",
		"sending patients elsewhere": "小病不用看医生",
	} {
		if flaw(s) == "" {
			t.Errorf("%s passes: %s", name, s)
		}
	}
	if f := flaw("不要用酒精擦身，照说明书吃。"); f != "" {
		t.Errorf("sound advice is refused for %s", f)
	}
}

func TestEveryTopicIsCovered(t *testing.T) {
	all := lessons(t)
	for _, topic := range []struct {
		name     string
		issue    int
		keywords string
	}{
		{"fever care", 1, "发烧 温水 捂"},
		{"measuring temperature", 2, "体温计 三十七度三"},
		{"oxygen checks", 3, "血氧 低于百分之九十三 呼吸困难 尽快就医"},
		{"safe medicine use", 4, "说明书 过敏"},
		{"doubling up painkillers and cold medicines", 5, "止痛药 双份 只选一种"},
		{"when to seek a doctor", 6, "都要看医生"},
		{"the village clinic", 6, "村卫生室 医保卡"},
		{"calling an ambulance", 7, "打一二零 路口接车"},
		{"ventilation", 8, "开窗"},
		{"masks", 9, "口罩 鼻梁"},
		{"hand washing", 10, "洗手 二十秒"},
		{"cough etiquette", 11, "喷嚏 胳膊肘"},
		{"the elderly", 12, "老人"},
		{"children", 13, "娃娃 儿童"},
		{"pregnancy", 14, "怀孕 产检"},
		{"chronic illness", 15, "高血压 糖尿病 别自己停"},
		{"recovery and rest", 16, "多歇几天"},
		{"back to work and school", 16, "上学 上班"},
		{"diet and water", 17, "温开水 粥"},
		{"sore throat and cough", 18, "嗓子疼 咳嗽"},
		{"a shared household with someone ill", 19, "单住一间 各用各的"},
		{"waste disposal", 20, "扎紧口 有害垃圾"},
		{"disinfecting", 21, "含氯的消毒液 千万别 洁厕剂 酒精"},
		{"vaccination", 22, "流感疫苗"},
		{"sharing spare medicine", 23, "邻居匀一点 处方药"},
		{"antibiotics and viruses", 24, "抗生素 对病毒没有用"},
		{"medicine expiry and storage", 25, "过期 阴凉干燥"},
		{"carbon monoxide and stoves", 26, "煤气中毒 烟囱 炭盆"},
		{"keeping warm", 27, "热水袋 结冰"},
		{"mental wellbeing and sleep", 28, "心里 按时睡 心理热线"},
		{"rumours and scams", 29, "秘方 骗"},
		{"markets and gatherings", 30, "赶集 喜酒"},
		{"visiting the sick", 30, "看病人"},
		{"neighbours who live alone", 31, "独居 喊一声"},
	} {
		t.Run(topic.name, func(t *testing.T) {
			for _, k := range strings.Fields(topic.keywords) {
				if topic.issue > len(all) || !strings.Contains(all[topic.issue-1].Text, k) {
					t.Errorf("issue %d does not say %s", topic.issue, k)
				}
			}
		})
	}
}

type clip struct {
	File string `toml:"file"`
	course.Lesson
}

func clips(t *testing.T) []clip {
	t.Helper()
	b, err := os.ReadFile("testdata/clips.toml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Clip []clip `toml:"clip"`
	}
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Clip) != 3 {
		t.Fatalf("%d clips, want 3", len(doc.Clip))
	}
	return doc.Clip
}

func TestTheTestClipsAreSentencesOfTheCourse(t *testing.T) {
	all := lessons(t)
	for _, c := range clips(t) {
		l := all[c.Issue-1]
		if c.Title != l.Title || c.Series != l.Series || c.Language != l.Language || !strings.Contains(l.Text, c.Text) || c.Text == "" {
			t.Errorf("%s does not come from issue %d %s", c.File, l.Issue, l.Title)
		}
	}
}

// At 48 kHz and 64 kbit/s a layer III frame is 192 bytes and lasts 24 ms.
func TestTheTestClipsAreBareAirProfileFrames(t *testing.T) {
	for _, c := range clips(t) {
		b, err := os.ReadFile(filepath.Join("testdata", c.File))
		if err != nil {
			t.Fatal(err)
		}
		if len(b)%192 != 0 {
			t.Errorf("%s: %d bytes are no whole frames", c.File, len(b))
		}
		if ms := len(b) / 192 * 24; ms < 3000 || ms > 6000 {
			t.Errorf("%s sounds %d ms, want 3 to 6 s", c.File, ms)
		}
		for i := 0; i+4 <= len(b); i += 192 {
			// MPEG-1 layer III without checksum; 64 kbit/s, 48 kHz, unpadded; mono.
			if b[i] != 0xff || b[i+1] != 0xfb || b[i+2]&0xfe != 0x54 || b[i+3]&0xc0 != 0xc0 {
				t.Fatalf("%s: frame %d starts with % x", c.File, i/192, b[i:i+4])
			}
		}
		for _, tag := range []string{"Xing", "Info", "VBRI", "ID3", "TAG", "APETAGEX"} {
			if bytes.Contains(b, []byte(tag)) {
				t.Errorf("%s holds a %s header", c.File, tag)
			}
		}
	}
}

var (
	integrated = regexp.MustCompile(`I:\s+(-?[0-9.]+) LUFS`)
	truePeak   = regexp.MustCompile(`Peak:\s+(-?[0-9.]+) dBFS`)
)

func TestTheTestClipsAreAsLoudAsTheAirProfileWants(t *testing.T) {
	last := func(re *regexp.Regexp, b []byte) float64 {
		m := re.FindAllSubmatch(b, -1)
		if m == nil {
			t.Fatalf("no %v in:\n%s", re, b)
		}
		v, err := strconv.ParseFloat(string(m[len(m)-1][1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range clips(t) {
		out, err := exec.Command("ffmpeg", "-hide_banner", "-nostats", "-i", filepath.Join("testdata", c.File),
			"-af", "ebur128=peak=true", "-f", "null", "-").CombinedOutput()
		if err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, out)
		}
		if i := last(integrated, out); i < -16.5 || i > -15.5 {
			t.Errorf("%s: %v LUFS, want -16", c.File, i)
		}
		if p := last(truePeak, out); p > -1.5 {
			t.Errorf("%s: true peak %v dBTP, want -1.5 at most", c.File, p)
		}
	}
}
