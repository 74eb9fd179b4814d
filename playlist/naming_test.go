package playlist_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"dalaba/playlist"
)

func TestANameSaysSeriesIssueAndTitle(t *testing.T) {
	for _, c := range []struct {
		name string
		want playlist.Named
	}{
		{"第3期 丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"第3期丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"第３期　丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"第 3 期：丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"【第3期】丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"第3期《丁课》", playlist.Named{Issue: 3, Title: "丁课"}},
		{"第九期", playlist.Named{Issue: 9, Title: "第九期"}},
		{"第十二课", playlist.Named{Issue: 12, Title: "第十二课"}},
		{"第二十一讲 高血压", playlist.Named{Issue: 21, Title: "高血压"}},
		{"第一百零三期 中暑", playlist.Named{Issue: 103, Title: "中暑"}},
		{"第二〇三期 中暑", playlist.Named{Issue: 203, Title: "中暑"}},
		{"第3集 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3回 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3章 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3节 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第三节课 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3课时 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3篇 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3辑 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3段 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"第3堂 甲", playlist.Named{Issue: 3, Title: "甲"}},
		{"健康微课堂第4期", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "健康微课堂第4期"}},
		{"《健康微课堂》第4期", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "《健康微课堂》第4期"}},
		{"健康微课堂（第4期）", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "健康微课堂（第4期）"}},
		{"健康微课堂 第4期 咳嗽怎么办", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽怎么办"}},
		{"健康微课堂_第4期_咳嗽怎么办", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽怎么办"}},
		{"健康微课堂（第4期）咳嗽怎么办", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽怎么办"}},
		{"2026年第3期 丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"录音第3期", playlist.Named{Issue: 3, Title: "录音第3期"}},
		{"健康微课堂第二季第3集", playlist.Named{Series: "健康微课堂第二季", Issue: 3, Title: "健康微课堂第二季第3集"}},
		{"第二课堂第3期 洗手", playlist.Named{Series: "第二课堂", Issue: 3, Title: "洗手"}},
		{"第3期（总第120期）", playlist.Named{Issue: 3, Title: "（总第120期）"}},
		{"第3期 5分钟学会洗手", playlist.Named{Issue: 3, Title: "5分钟学会洗手"}},

		{"01 发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"01-发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"01_发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"01发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"01 - 2026年流感", playlist.Named{Issue: 1, Title: "2026年流感"}},
		{"1.发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"1. 5分钟学会洗手", playlist.Named{Issue: 1, Title: "5分钟学会洗手"}},
		{"1、发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"１、发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"三、发烧", playlist.Named{Issue: 3, Title: "发烧"}},
		{"（3）发烧", playlist.Named{Issue: 3, Title: "发烧"}},
		{"（三）发烧", playlist.Named{Issue: 3, Title: "发烧"}},
		{"(3) x", playlist.Named{Issue: 3, Title: "x"}},
		{"3) x", playlist.Named{Issue: 3, Title: "x"}},
		{"[03]", playlist.Named{Issue: 3, Title: "[03]"}},
		{"[03] 发烧", playlist.Named{Issue: 3, Title: "发烧"}},
		{"03", playlist.Named{Issue: 3, Title: "03"}},
		{"3", playlist.Named{Issue: 3, Title: "3"}},
		{"10 丙课", playlist.Named{Issue: 10, Title: "丙课"}},
		{"10 天气与健康", playlist.Named{Issue: 10, Title: "天气与健康"}},
		{"10 年轻人的颈椎", playlist.Named{Issue: 10, Title: "年轻人的颈椎"}},
		{"10 《家庭急救》", playlist.Named{Issue: 10, Title: "家庭急救"}},
		{"7:健康早班车", playlist.Named{Issue: 7, Title: "健康早班车"}},

		{"EP03", playlist.Named{Issue: 3, Title: "EP03"}},
		{"EP03 Fever", playlist.Named{Issue: 3, Title: "Fever"}},
		{"ＥＰ０３ 发烧", playlist.Named{Issue: 3, Title: "发烧"}},
		{"Episode 3: Fever", playlist.Named{Issue: 3, Title: "Fever"}},
		{"Lesson 3 - Fever", playlist.Named{Issue: 3, Title: "Fever"}},
		{"No.3", playlist.Named{Issue: 3, Title: "No.3"}},
		{"Vol. 3 发烧", playlist.Named{Issue: 3, Title: "发烧"}},
		{"Health Minute EP03 Fever", playlist.Named{Series: "Health Minute", Issue: 3, Title: "Fever"}},
		{"健康微课堂EP03", playlist.Named{Series: "健康微课堂", Issue: 3, Title: "健康微课堂EP03"}},
		{"S01E05", playlist.Named{Issue: 5, Title: "S01E05"}},
		{"S01E05 发烧", playlist.Named{Issue: 5, Title: "发烧"}},
		{"健康微课堂 S02E05 发烧", playlist.Named{Series: "健康微课堂 S02", Issue: 5, Title: "发烧"}},

		{"2026-11-23 健康微课堂第4期 咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"20261130健康微课堂第4期 咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"2026年11月23日_健康微课堂_第4期", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "2026年11月23日_健康微课堂_第4期"}},
		{"11-23 健康微课堂 第4期 咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"11月23日健康微课堂第4期", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "11月23日健康微课堂第4期"}},
		{"2026-11-23 第4期 咳嗽", playlist.Named{Issue: 4, Title: "咳嗽"}},
		{"2026-11-23 01 发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"3-5岁儿童第4期", playlist.Named{Series: "3-5岁儿童", Issue: 4, Title: "3-5岁儿童第4期"}},

		{"高血压第二讲", playlist.Named{Issue: 2, Title: "高血压第二讲"}},
		{"高血压 第三课 饮食", playlist.Named{Issue: 3, Title: "高血压 第三课 饮食"}},
		{"高血压第3课 饮食", playlist.Named{Series: "高血压", Issue: 3, Title: "饮食"}},
		{"高血压第三期 饮食", playlist.Named{Series: "高血压", Issue: 3, Title: "饮食"}},
		{"健康大讲堂第一课 洗手", playlist.Named{Series: "健康大讲堂", Issue: 1, Title: "洗手"}},
		{"第一课 洗手", playlist.Named{Issue: 1, Title: "洗手"}},
		{"2026-11-23第一课 洗手", playlist.Named{Issue: 1, Title: "洗手"}},
		{"第3課 洗手", playlist.Named{Issue: 3, Title: "洗手"}},
		{"第3講 洗手", playlist.Named{Issue: 3, Title: "洗手"}},
		{"第3單 洗手", playlist.Named{Issue: 3, Title: "洗手"}},
		{"第3单元 洗手", playlist.Named{Issue: 3, Title: "洗手"}},
		{"第叁期 洗手", playlist.Named{Issue: 3, Title: "洗手"}},
		{"第貳拾肆期 洗手", playlist.Named{Issue: 24, Title: "洗手"}},

		{"3期 丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"3课 丁课", playlist.Named{Issue: 3, Title: "丁课"}},
		{"健康微课堂4期", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "健康微课堂4期"}},
		{"健康微课堂 4期 咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"健康微课堂04", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "健康微课堂04"}},
		{"健康微课堂_04_咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"健康微课堂04咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"健康微课堂 4 咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"2026-11-23 健康微课堂04 咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"健康微课堂（4）", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "健康微课堂（4）"}},
		{"健康微课堂（四）咳嗽", playlist.Named{Series: "健康微课堂", Issue: 4, Title: "咳嗽"}},
		{"健康微课堂120", playlist.Named{Series: "健康微课堂", Issue: 120, Title: "健康微课堂120"}},
		{"洗手03", playlist.Named{Issue: 3, Title: "洗手"}},
		{"洗手3", playlist.Named{Issue: 3, Title: "洗手"}},
		{"洗手_03", playlist.Named{Issue: 3, Title: "洗手"}},
		{"洗手_03_方法", playlist.Named{Issue: 3, Title: "洗手_03_方法"}},
		{"3岁儿童03", playlist.Named{Issue: 3, Title: "3岁儿童"}},
		{"发烧(3)", playlist.Named{Issue: 3, Title: "发烧"}},
		{"发烧（3）", playlist.Named{Issue: 3, Title: "发烧"}},
		{"①发烧", playlist.Named{Issue: 1, Title: "发烧"}},
		{"⑫、发烧", playlist.Named{Issue: 12, Title: "发烧"}},
		{"1，发烧", playlist.Named{Issue: 1, Title: "发烧"}},

		{"第3期（上）丁课", playlist.Named{Issue: 3, Title: "（上）丁课"}},
		{"第3期（下）", playlist.Named{Issue: 3, Title: "第3期（下）"}},
		{"第3期 上集 丁课", playlist.Named{Issue: 3, Title: "上集 丁课"}},
		{"丁课（上）第3期", playlist.Named{Issue: 3, Title: "丁课（上）第3期"}},
		{"第3期 丁课（2）", playlist.Named{Issue: 3, Title: "丁课（2）"}},
		{"第3期 发烧 (2)", playlist.Named{Issue: 3, Title: "发烧 (2)"}},
	} {
		if got := playlist.ReadName(c.name); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestANumberThatCountsOrDatesIsNoIssue(t *testing.T) {
	for _, name := range []string{
		"120急救", "120 急救", "120", "2026年流感", "2026 年终总结", "2026-11-23 晨播", "20261123", "11-23 晨播", "11月23日晨播", "3岁以下儿童", "3 岁以下儿童", "3-5岁儿童",
		"2 - 6岁儿童", "三、四岁的孩子", "5分钟学会洗手", "5 分钟学会洗手", "7天", "7 天减盐", "100问", "100 问", "H1N1", "4.5 升", "24小时", "24 小时动态心电图", "24 节气养生",
		"1型糖尿病", "2 型糖尿病", "十大误区", "十 大 误区", "7:30早间", "07:30早间", "07：30早间", "07-30早间", "0730早间", "01月健康", "3D打印", "5G 与健康", "第二课堂", "第一时间拨打120",
		"开学第一课", "人生第一课", "安全第一课 防溺水", "9 价疫苗", "9价疫苗", "流感2026", "新冠19", "COVID19", "拨打120", "急救（120）", "热线12345", "健康365", "双11", "洗手定稿2", "录音(1)", "录音003",
		"洗手 (2)", "洗手 - 副本 (2)", "洗手 - 副本(2)", "流感2026(2)", "全12集", "共3期", "第1-3期", "发烧（一）", "丁课 Part 2", "20261123_2", "20261123063022", "2026-11-23 (2)", "11-23 07:30 晨播",
		"健康微课堂 5 分钟学会洗手", "健康微课堂11月23日", "健康微课堂 2026-11-23", "洗手 3", "1,000 步", "高血压3级", "2-6 岁儿童",
		"第3阶段", "第一节气", "步骤step3", "10 tips for sleep", "24 hours", "No.3.5", "Part 3-5", "COVID-19", "健康2030", "1/2 片", "丁课", "", "  ", "第期", "第0期", "00",
	} {
		if got := playlist.ReadName(name); got.Issue != 0 || got.Series != "" || got.Title != strings.TrimSpace(name) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestATitleKeepsWhatIsNotItsSeries(t *testing.T) {
	for _, c := range []struct{ name, series, want string }{
		{"健康微课堂 第4期 咳嗽", "健康微课堂", "咳嗽"},
		{"高血压 第4期 饮食", "健康微课堂", "高血压 饮食"},
		{"健康微课堂第4期", "健康微课堂", "健康微课堂第4期"},
		{"健康微课堂第4期", "别的", "健康微课堂第4期"},
		{"第4期 咳嗽", "健康微课堂", "咳嗽"},
	} {
		if got := playlist.ReadName(c.name).TitleIn(c.series); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.name, c.series, got, c.want)
		}
	}
}

func TestATitleThatSaysItsIssueIsKnown(t *testing.T) {
	for _, c := range []struct {
		title string
		issue int
		want  bool
	}{
		{"第3期 丁课", 3, true},
		{"健康微课堂第4期", 4, true},
		{"第3期 丁课", 5, false},
		{"丁课", 3, false},
		{"洗手1", 1, false},
		{"健康微课堂04", 4, true},
		{"丁课", 0, false},
	} {
		if got := playlist.SaysIssue(c.title, c.issue); got != c.want {
			t.Errorf("%s, %d: %v", c.title, c.issue, got)
		}
	}
}

func TestAFolderThatNobodyNamedIsNoSeries(t *testing.T) {
	for _, name := range []string{
		"clips", "audio", "音频", "录音", "新建文件夹", "新建文件夹 (2)", "New folder (3)", "Downloads", "下载", "Music", "mp3", "tmp", "2026", "2026-11-23", "2026年11月", "20261123", "01", "第二季", "2026年冬", "S02", "上学期", "新录音", "", "…",
	} {
		if playlist.IsSeries(name) {
			t.Errorf("%s is a series", name)
		}
	}
	for _, name := range []string{"健康微课堂", "高血压", "2026年健康讲座", "Health Minute", "第二课堂"} {
		if !playlist.IsSeries(name) {
			t.Errorf("%s is no series", name)
		}
	}
}

func TestFoldersSayASeriesAndItsSeason(t *testing.T) {
	for _, c := range []struct{ folders, want string }{
		{"健康", "健康"},
		{"健康/2026年11月", "健康 2026年11月"},
		{"健康/2026/11", "健康 2026 11"},
		{"健康/202611", "健康 202611"},
		{"讲座/第二季", "讲座 第二季"},
		{"讲座/第二季/音频", "讲座 第二季"},
		{"讲座/2026年第一学期", "讲座 2026年第一学期"},
		{"讲座/2026年冬", "讲座 2026年冬"},
		{"讲座/上学期", "讲座 上学期"},
		{"讲座/Season 2", "讲座 Season 2"},
		{"健康/2026-11-23", "健康"},
		{"健康/20261123", "健康"},
		{"健康/11月23日", "健康"},
		{"卫生/高血压", "高血压"},
		{"2026年11月", ""},
		{"第二季/音频", ""},
		{"2026年11月/健康", "健康"},
		{"", ""},
	} {
		if got := playlist.SeriesOf(strings.Split(c.folders, "/")); got != c.want {
			t.Errorf("%s: %q, want %q", c.folders, got, c.want)
		}
	}
}

func TestNamesAreInNaturalOrder(t *testing.T) {
	for _, want := range [][]string{
		{"1.mp3", "2.mp3", "10.mp3"},
		{"第一期.mp3", "第二期.mp3", "第九期.mp3", "第十期.mp3", "第十一期.mp3", "第二十期.mp3"},
		{"第2期.mp3", "第九期.mp3", "第10期.mp3"},
		{"第２期.mp3", "第3期.mp3", "第１０期.mp3"},
		{"一、洗手", "二、咳嗽", "九、发烧", "十、中暑"},
		{"（二）咳嗽", "（十）中暑"},
		{"上.mp3", "中.mp3", "下.mp3"},
		{"第3期（上）丁课.mp3", "第3期（中）丁课.mp3", "第3期（下）丁课.mp3", "第4期（上）丁课.mp3"},
		{"丁课上集.mp3", "丁课中集.mp3", "丁课下集.mp3"},
		{"丁课 上 洗手.mp3", "丁课 中 洗手.mp3", "丁课 下 洗手.mp3"},
		{"丁课之一.mp3", "丁课之二.mp3", "丁课之三.mp3", "丁课之十.mp3"},
		{"上火", "下火", "中火"}, // words: by their characters
		{"clips/1.mp3", "clips/9.mp3", "clips/10.mp3", "clips 2/1.mp3"},
		{"a 01", "a 1", "a 2"},
		{"A1", "a2", "A10"},
		{"20261101", "20261123", "99999999999999999999999"},
		{"十里铺", "百草", "九寨沟"}, // names, not numbers: by their characters
	} {
		got := slices.Clone(want)
		if len(got) > 2 && got[0] == "十里铺" {
			slices.Sort(want)
		}
		slices.Reverse(got)
		slices.SortFunc(got, playlist.CompareNames)
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestClipsOfASeriesAreInOrderOfIssueThenTitle(t *testing.T) {
	want := []playlist.Clip{
		{Series: "健康", Title: "前言"}, {Series: "健康", Title: "2 甲"}, {Series: "健康", Issue: 3, Title: "乙"}, {Series: "健康", Title: "10 甲"}, {Series: "健康", Issue: 11, Title: "甲"}, {Series: "运动", Issue: 1},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, playlist.CompareClips)
	if !slices.EqualFunc(got, want, func(a, b playlist.Clip) bool { return a.Title == b.Title && a.Series == b.Series }) {
		t.Errorf("got %+v", got)
	}
}

func TestANameInGBKIsRead(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"\xb5\xda1\xc6\xda \xb8\xd0\xc3\xb0.mp3", "第1期 感冒.mp3"},
		{"/mnt/音频/\xbd\xa1\xbf\xb5/\xb5\xda1\xc6\xda.mp3", "/mnt/音频/健康/第1期.mp3"},
		{"\xcd\xa8\xd6\xaa.docx", "通知.docx"}, // UTF-8 by chance
		{"/mnt/\xcd\xa8\xd6\xaa/第1期 感冒.mp3", "/mnt/通知/第1期 感冒.mp3"},
		{"第1期 感冒.mp3", "第1期 感冒.mp3"},
		{"cafe\u0301 \u00e9t\u00e9.mp3", "cafe\u0301 \u00e9t\u00e9.mp3"},
		{"ساغلاملىق.mp3", "ساغلاملىق.mp3"},
		{"Денсаулық.mp3", "Денсаулық.mp3"},
		{"\xff\xfe/\xbd\xa1", "\xff\xfe/健"},
		{"", ""},
	} {
		if got := playlist.Legible(c.name); got != c.want {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzReadName(f *testing.F) {
	for _, s := range []string{"第3期 丁课", "健康微课堂第4期", "（三）x", "EP03 x", "01-x", "7:30", "第廿卅百千期", "\xff第3期\xff", "İ第3期K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		n := playlist.ReadName(name)
		if n.Issue < 0 || n.Issue > 99_999 {
			t.Errorf("%q: issue %d", name, n.Issue)
		}
		if strings.TrimSpace(name) != "" && n.Title == "" {
			t.Errorf("%q: no title", name)
		}
		if utf8.ValidString(name) && !strings.Contains(name, n.Title) {
			t.Errorf("%q: title %q is not in it", name, n.Title)
		}
		if n.Series != "" && !playlist.IsSeries(n.Series) {
			t.Errorf("%q: series %q", name, n.Series)
		}
		if playlist.CompareNames(name, name) != 0 || playlist.CompareNames(name, n.Title) != -playlist.CompareNames(n.Title, name) {
			t.Errorf("%q: no order", name)
		}
	})
}
