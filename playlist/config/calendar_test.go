package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// dated is a shelf with lists of holidays, at a time. At the desk nothing stands in for
// a faulty one.
type dated struct {
	shelf
	lists map[string]string
	now   string // 2026-05-01 if empty
	last  *playlist.Calendar
	desk  bool
}

func (d dated) Calendar(file string) ([]byte, error) {
	switch text, ok := d.lists[file]; {
	case ok:
		return []byte(text), nil
	case file == "locked.csv":
		return nil, errors.New("permission denied")
	}
	return nil, fs.ErrNotExist
}

func (d dated) LastCalendar(dir string) (*playlist.Calendar, bool) {
	if dir != "d" {
		return nil, false
	}
	return d.last, !d.desk
}

func (d dated) Now() time.Time {
	at, err := time.Parse(time.DateOnly, d.now)
	if err != nil {
		return time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	}
	return at
}

// workdays is a slot of workdays, from line 10 of a config on, with its days in line 14.
const workdays = good + `[[slot]]
name = "早"
playlist = "健康"
cron = "30 7 * * *"
days = ["工作日"]
[calendar]
files = ["a.csv"]
`

func TestAListOfHolidaysIsReadAsPeopleHaveIt(t *testing.T) {
	gbk := func(s string) string {
		out, err := simplifiedchinese.GBK.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	utf16 := func(s string) string {
		out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const two = "[2026-10-01 2026-10-02] [2026-10-10]"
	for _, c := range []struct{ name, text, want string }{
		{"commas, a header and a name", "日期,类型,名称\n2026-10-01,休,国庆节\n2026-10-02,休,国庆节\n2026-10-10,班,\n", two},
		{"as Excel writes it in GBK", gbk("日期,类型,名称\r\n2026/10/1,休,国庆节\r\n2026/10/2,休,国庆节\r\n2026/10/10,班,国庆节调休\r\n"), two},
		{"as Excel writes it in UTF-8, with rows left empty", "\ufeff日期,类型\r\n2026/10/1,休\r\n,\r\n2026/10/2,休\r\n2026/10/10,班\r\n,\r\n", two},
		{"quotes", "\"2026-10-01\",\"休\"\n\"2026-10-02\",\"休\"\n\"2026-10-10\",\"班\"\n", two},
		{"tabs, and a time as Excel adds it", "2026/10/1 0:00:00\toff\n2026/10/2\toff\n2026/10/10\ton\n", two},
		{"spaces, and comments", "# 国务院办公厅\n\n2026-10-01 放假 国庆节 # 四\n2026-10-02　放假\n2026-10-10 上班\n", two},
		{"full-width marks", "2026年10月1日；节假日\n2026年10月02日，holiday\n2026年10月10日；调休\n", two},
		{"digits alone", "20261001;休\n20261002;休\n20261010;补班\n", two},
		{"dots, and other words", "2026.10.1 Off\n2026.10.2 HOLIDAY\n2026.10.10 Workday\n", two},
		{"a stretch", "2026-10-01~2026-10-02,休\n2026-10-10,工作日", two},
		{"a stretch in words", "2026年10月1日 至 2026年10月2日 休 国庆节\n2026年10月10日 班", two},
		{"a stretch with a dash", "20261001 — 20261002,休\n20261010,班,国庆节 到 下周", two},
		{"stretches that overlap", "2026-10-01~2026-10-02,休\n2026-10-02,休\n2026-10-10,班", two},
		{"a stretch over the new year", "2026-12-31~2027-01-01,休", "[2026-12-31 2027-01-01] []"},
		{"two columns, from and to", "开始,结束,类型\n2026-10-01,2026-10-02,休\n2026-10-10,2026-10-10,班", two},
		{"two columns as Excel writes them", "2026年放假安排,,,\r\n,,,\r\n节日,,放假起,放假止,天数,类型\r\n国庆节,,2026/10/1,2026/10/2,2,放假\r\n国庆节,,2026/10/10,,1,上班\r\n", two},
		{"English columns", "name;from;to;type\nNational Day;2026-10-01;2026-10-02;off\n;2026-10-10;;on", two},
		{"columns under which the end comes first", "到,从\n2026-10-02,2026-10-01,休\n,2026-10-10,班", two},
		{"columns below a title that speaks of from and to", "自元旦起,到国庆节止,的安排\n从元旦开始的安排\n节日,开始,结束,类型\n国庆,2026-10-01,2026-10-02,休\n,2026-10-10,,班", two},
		{"two dates in a row", "2026/10/1,2026/10/2,放假\n2026-10-10 班", two},
		{"two dates in a row, further apart", "2026-10-01,2026-10-04,休", "[2026-10-01 2026-10-02 2026-10-03 2026-10-04] []"},
		{"a list of three", "2026-10-01,2026-10-03,2026-10-05,休", "[2026-10-01 2026-10-03 2026-10-05] []"},
		{"a list with marks", "2026-10-01、2026-10-02 休\n2026-10-10班", two},
		{"a list of two, apart", "2026-10-01、2026-10-03 休\n2026-09-27和2026-10-10 上班", "[2026-10-01 2026-10-03] [2026-09-27 2026-10-10]"},
		{"a list of stretches", "2026-10-01~2026-10-02、2026-10-05~2026-10-06,休", "[2026-10-01 2026-10-02 2026-10-05 2026-10-06] []"},
		{"a name first", "国庆,2026-10-01,休\n国庆,2026-10-02,休\n国庆 2026-10-10 班", two},
		{"titles of every kind", "国务院办公厅关于2026年部分节假日安排的通知\n国办发明电〔2025〕7号\n,,\n日期,放假/调休,备注\n日期,节假日\n2026-10-01,休\n2026-10-02,休\n2026-10-10,班", two},
		{"dashes for a stretch", "2026.10.1-2026.10.2,休\n2026/10/10-2026/10/10,班", two},
		{"dashes throughout", "2026-10-01-2026-10-02,休\n2026-10-10,班", two},
		{"ends without a year", "2026-10-01~10-02,休\n2026年10月10日至10月10日,班", two},
		{"ends without a month", "2026年10月1日（星期四）至2日（星期五）放假调休，共2天\n2026年10月10日（周六）上班", two},
		{"an end without a year, in the next one", "2026年12月31日至1月1日,休", "[2026-12-31 2027-01-01] []"},
		{"days of the week", "2026-10-01(周四),休\n2026年10月2日 星期五 休\n2026-10-10,周六,班", two},
		{"full-width digits", "２０２６－１０－０１，休\n２０２６年１０月２日　休\n2026-10-10，班", two},
		{"a time as programs write it", "2026-10-01T00:00:00,休\n2026-10-02T00:00:00.000Z,休\n2026-10-10,班", two},
		{"UTF-16", utf16("日期\t类型\r\n2026/10/1\t休\r\n2026/10/2\t休\r\n2026/10/10\t班\r\n"), two},
		{"lines of an old Mac", "日期,类型\r2026-10-01,休\r2026-10-02,休\r2026-10-10,班\r", two},
		{"the words of the State Council", "2026-10-01,放假调休\n2026-10-02,法定节假日\n2026-10-10,调休上班", two},
		{"other words for a day off", "2026-10-01,休假\n2026-10-02,公休\n2026-10-03,补休\n2026-10-04,假日\n2026-10-05,法定假日", "[2026-10-01 2026-10-02 2026-10-03 2026-10-04 2026-10-05] []"},
		{"names that have such words, too", "2026-10-01,休,国庆 调休\n2026-10-02,放假,调休\n2026-10-10,班,国庆节放假", two},
		{"a column for the kind", "日期,备注,类型\n2026-10-01~2026-10-02,上班,休\n2026-10-10,放假,班", two},
		{"the kind within a text", "2026-10-01~2026-10-02,国庆节放假2天\n2026-10-10,国庆调休补班", two},
		{"moved to a Saturday", "2026-10-01~2026-10-02,休\n2026-10-10,国庆节调休", two},
		{"a number for each line, and which day it is", "1,2026-10-01,休,国庆第1天\n2,2026-10-02,休,国庆第2天\n3,2026-10-10,班,2026", two},
		{"JSON, a list", `[{"date":"2026-10-01","isOffDay":true},{"date":"2026-10-02","holiday":true},{"date":"2026-10-10","holiday":false}]`, two},
		{"JSON, by day", `{"code":0,"holiday":{"10-01":{"holiday":true,"name":"国庆节","wage":3,"date":"2026-10-01"},
			"10-02":{"holiday":true,"date":"2026-10-02"},"10-10":{"holiday":false,"name":"国庆节后补班","date":"2026-10-10"}}}`, two},
		{"JSON", `{"$schema":"x","year":2026,"papers":["u"],"days":[
			{"name":"国庆节","date":"2026-10-01","isOffDay":true},{"name":"国庆节","date":"2026-10-02","isOffDay":true},
			{"name":"国庆节","date":"2026-10-10","isOffDay":false}]}`, two},
	} {
		cfg, problems := config.Read("dalaba.toml", []byte(workdays), dated{lists: map[string]string{"a.csv": c.text}, desk: true})
		if cfg == nil || len(problems) > 0 || cfg.Calendar == nil {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		if got := fmt.Sprint(cfg.Calendar.Off, " ", cfg.Calendar.On); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if cfg.Slots[0].Calendar != cfg.Calendar {
			t.Errorf("%s: the slot has another calendar", c.name)
		}
	}
}

func TestAFaultyListOfHolidaysIsToldOfByItsLine(t *testing.T) {
	const en, zh = "write a day or a stretch of days a line: date, off or on, name; such as 2026-10-01~2026-10-07,off,National Day",
		"一行写一天或一段：日期、“休”或“班”、名称，例如 2026-10-01~2026-10-07,休,国庆节"
	const doubtRemedy = "write a stretch as 2026-10-01~2026-10-07, and single days each in its line"
	const doubt = `"a.csv", line 1: it has several dates, which may be a stretch or single days; ` + doubtRemedy
	const json = `write {"days": [{"name": "New Year", "date": "2026-01-01", "isOffDay": true}]}, or a list with a day on each line`
	for _, c := range []struct {
		name, text string
		want       []string
		zh         string
	}{
		{"a day that there is not", "2026-10-01,休\n2026-02-30,休", []string{`"a.csv", line 2: "2026-02-30" is no date; ` + en}, "“a.csv”第 2 行：“2026-02-30”不是有效日期；" + zh},
		{"a header below a day", "日期,类型\n2026-10-01,休\n日期,类型", []string{`"a.csv", line 3: "日期" is no date; ` + en}, ""},
		{"a day in words, first", "十月一日,休\n2026-10-02,休", []string{`"a.csv", line 1: "十月一日" looks like a date, but is not complete; if it is none, put it otherwise; ` + en}, ""},
		{"a day without a year, first", "国庆,10月1日,休\n2026-10-02,休", []string{`"a.csv", line 1: "10月1日" looks like a date, but is not complete; if it is none, put it otherwise; ` + en}, "“a.csv”第 1 行：“10月1日”像是日期，但没有写全；不是日期的，请改个写法；" + zh},
		{"a number that Excel shows for a day", "46296,休", []string{`"a.csv", line 1: "46296" is no date; ` + en}, ""},
		{"a name and a kind, first", "国庆节放假\n2026-10-02,休", []string{`"a.csv", line 1: "国庆节放假" is no date; ` + en}, ""},
		{"a second day without a year", "2026-10-01,10-07,休", []string{`"a.csv", line 1: "10-07" looks like a date, but is not complete; if it is none, put it otherwise; ` + en}, ""},
		{"a second day with a slip", "2026-10-01,2026-10-O7,休", []string{`"a.csv", line 1: "2026-10-O7" looks like a date, but is not complete; if it is none, put it otherwise; ` + en}, ""},
		{"a second day as Excel shows it", "2026-10-01,7-Oct,休", []string{`"a.csv", line 1: "7-Oct" looks like a date, but is not complete; if it is none, put it otherwise; ` + en}, ""},
		{"more days after a stretch", "2026年10月1日至3日、5日,休", []string{`"a.csv", line 1: "、5日" looks like a date, but is not complete; if it is none, put it otherwise; ` + en}, ""},
		{"two days in one, one that there is not", "2026-09-31,2026-10-07,休", []string{`"a.csv", line 1: "2026-09-31" is no date; ` + en}, ""},
		{"two days backwards", "2026-10-07,2026-10-01,休", []string{`"a.csv", line 1: "2026-10-07~2026-10-01" runs backwards, or is longer than 31 days; check its years and months`}, ""},
		{"an end without a year that is no new year's", "2026-10-07~10-01,休", []string{`"a.csv", line 1: "2026-10-07~10-01" runs backwards, or is longer than 31 days; check its years and months`}, ""},
		{"two days that are worked", "2026-09-27,2026-10-10,班", []string{doubt}, "“a.csv”第 1 行：有几个日期，看不出是从哪天到哪天，还是单独的几天；一段写成 2026-10-01~2026-10-07，单独的几天一天写一行"},
		{"a day of something else", "2026-10-10,班,补2026-10-12", []string{doubt}, ""},
		{"two days with a name between", "2026-10-01,国庆,2026-10-07,休", []string{doubt}, ""},
		{"a third day beside a start and an end", "开始,结束,类型,补班\n2026-10-01,2026-10-07,休,2026-10-10", []string{`"a.csv", line 2: it has several`}, ""},
		{"a stretch beside a day, which may be worked", "2026-10-01~2026-10-07,2026-10-10,放假", []string{doubt}, ""},
		{"the days worked in a column beside", "节日,放假,上班,备注\n国庆,2026-10-01,2026-10-10,放假", []string{`"a.csv", line 2: it has several`}, ""},
		{"from, to and a Saturday, which may be worked", "国庆,2026-10-01,2026-10-07,2026-10-10,放假", []string{doubt}, ""},
		{"an end without a start", "开始,结束,类型\n,2026-10-07,休", []string{`"a.csv", line 2: it has several`}, ""},
		{"an end that is none", "开始,结束,类型\n2026-10-01,待定,休", []string{`"a.csv", line 2: it has several`}, ""},
		{"more days than are named", "日期,天数,类型\n2026-10-01,7,休", []string{`"a.csv", line 2: it says "7", but its dates are 1 day; ` + doubtRemedy}, "“a.csv”第 2 行：写着“7”，和读出的 1 天对不上；一段写成 2026-10-01~2026-10-07，单独的几天一天写一行"},
		{"more days than are named, in words", "2026-10-01~2026-10-06 放假7天", []string{`"a.csv", line 1: it says "7天", but its dates are 6 days; ` + doubtRemedy}, ""},
		{"moved, on a weekday", "2026-10-08,调休", []string{`"a.csv", line 1: a day that is moved (tiaoxiu) may be off or worked; write off or on`}, "“a.csv”第 1 行：“调休”看不出这一天是休还是班；放假的写“休”，上班的写“班”"},
		{"moved, over a weekend and a weekday", "2026-10-10~2026-10-12,国庆节调休", []string{`"a.csv", line 1: a day that is moved`}, ""},
		{"moved, on a Saturday, in a holiday's name", "2026-10-10,国庆假期调休", []string{`"a.csv", line 1: it says both off and worked; ` + en}, ""},
		{"a kind that is denied", "2026-10-01,不放假", []string{`"a.csv", line 1: it does not say if the day is off or worked; ` + en}, ""},
		{"no kind", "2026-10-01,国庆节", []string{`"a.csv", line 1: it does not say if the day is off or worked; ` + en}, "“a.csv”第 1 行：没有写这一天是休还是班；" + zh},
		{"two kinds", "2026-10-01,休,班", []string{`"a.csv", line 1: it says both off and worked; ` + en}, ""},
		{"a stretch backwards", "2026-10-07~2026-10-01,休", []string{`"a.csv", line 1: "2026-10-07~2026-10-01" runs backwards, or is longer than 31 days; check its years and months`}, ""},
		{"a stretch of years", "2026-10-01~2062-10-07,休", []string{`"a.csv", line 1: "2026-10-01~2062-10-07" runs backwards, or is longer than 31 days; check its years and months`}, ""},
		{
			"both off and worked", "2026-10-01~2026-10-07,休\n2026-10-07,班",
			[]string{`"a.csv", line 2: 2026-10-07 contradicts "a.csv", line 1: one says off, the other worked; compare the official list, and delete the line that is wrong`},
			"“a.csv”第 2 行：2026-10-07 和“a.csv”第 1 行矛盾：一处是休，一处是班；请对照国务院办公厅的通知，删掉错的一行",
		},
		{"no day", "日期,类型\n# 待定\n", []string{`"a.csv" names no day; ` + en}, ""},
		{"a workbook", "PK\x03\x04\x00\x00", []string{`"a.csv" is no text in UTF-8, UTF-16 or GBK; save it from Excel as "CSV UTF-8 (comma delimited)"`}, ""},
		{"bytes that are no text", "\xff\xff\xff", []string{`"a.csv" is no text in UTF-8, UTF-16 or GBK; save it from Excel as "CSV UTF-8 (comma delimited)"`}, ""},
		{"another file altogether", strings.Repeat("0 休\n", 100), slices.Repeat([]string{`: "0" is no date; ` + en}, 5), ""},
		{"a text without days", "大坝村\n通讯录\n", []string{`"a.csv" names no day; ` + en}, ""},
		{"JSON that breaks off", "{\"days\": [\n{\"date\": \n", []string{`"a.csv", line 3: it is no JSON that can be read; ` + json}, ""},
		{"JSON without days", `{"year": 2026}`, []string{`"a.csv" names no day; ` + en}, ""},
		{"JSON with a date that is none", "{\"days\": [\n{\"date\": \"2026-01-01\", \"isOffDay\": true},\n{\"date\": \"1月2日\", \"isOffDay\": true}]}", []string{`"a.csv", line 3: "1月2日" is no date; ` + json}, ""},
		{"JSON without a kind", "{\"days\": [\n{\"date\": \"2026-01-01\"}]}", []string{`"a.csv", line 2: it does not say if the day is off or worked; ` + json}, ""},
		{"JSON with days of another kind", `{"days": ["2026-01-01"]}`, []string{`"a.csv", line 1: "2026-01-01" is no date; ` + json}, ""},
		{"JSON with a kind in quotes", "[\n{\"date\": \"2026-01-01\", \"isOffDay\": \"true\"}]", []string{`"a.csv", line 2: isOffDay is neither true nor false; write "isOffDay": true (off) or "isOffDay": false (worked), without quotes`}, "“a.csv”第 2 行：isOffDay 的值不是 true 或 false；请写 \"isOffDay\": true（休）或 \"isOffDay\": false（班），不加引号"},
		{"JSON by day, with one that there is not", "{\"holiday\": {\n\"01-01\": {\"holiday\": true, \"date\": \"2026-01-01\"},\n\"13-01\": {\"holiday\": true, \"date\": \"2026-13-01\"}}}", []string{`"a.csv", line 3: "2026-13-01" is no date; ` + json}, ""},
	} {
		cfg, problems := config.Read("dalaba.toml", []byte(workdays), dated{lists: map[string]string{"a.csv": c.text}, desk: true})
		if cfg != nil || len(problems) != len(c.want) {
			t.Errorf("%s: %d problems, want %d: %v", c.name, len(problems), len(c.want), problems)
			continue
		}
		for i, p := range problems {
			got := p.Error()
			if !strings.HasPrefix(got, "dalaba.toml:16: calendar.files: ") || !strings.Contains(got, c.want[i]) {
				t.Errorf("%s: %s\nwant %s", c.name, got, c.want[i])
			}
			if zh := p.In(say.Chinese); c.zh != "" && zh != "dalaba.toml:16: calendar.files: "+c.zh {
				t.Errorf("%s: %s\nwant %s", c.name, zh, c.zh)
			}
		}
	}
}

func TestAListOfHolidaysThatCannotBeRead(t *testing.T) {
	last := &playlist.Calendar{Off: []playlist.Date{"2026-10-01"}}
	lists := map[string]string{"b.csv": "2026-10-01,休", "c.csv": "2026-10-01,班", "x.csv": "日期\nx,休"}
	const redo = `; correct it, check it with "dalaba check", and put it in force with "dalaba reload"`
	const none = `dalaba.toml:16: calendar.files: (warning) the list of holidays is at fault, and none was read before: workdays are Monday to Friday` + redo
	for _, c := range []struct {
		name, files string
		lib         dated
		want        []string
		calendar    *playlist.Calendar
	}{
		{"gone, at the desk", `["a.csv"]`, dated{desk: true}, []string{`dalaba.toml:16: calendar.files: there is no file "a.csv"; check the path; relative ones begin at the config's folder`}, nil},
		{"locked", `["locked.csv"]`, dated{desk: true}, []string{`dalaba.toml:16: calendar.files: "locked.csv" cannot be read: permission denied; check the file and its permissions`}, nil},
		{"one of two contradicts the other", `["b.csv", "c.csv"]`, dated{desk: true}, []string{`dalaba.toml:16: calendar.files: "c.csv", line 1: 2026-10-01 contradicts "b.csv", line 1: one says off, the other worked; compare the official list, and delete the line that is wrong`}, nil},
		{"gone, in the daemon", `["a.csv"]`, dated{}, []string{none, `dalaba.toml:16: calendar.files: (warning) there is no file "a.csv"; check the path; relative ones begin at the config's folder`}, nil},
		{
			"broken, in a daemon that has read another before", `["b.csv", "x.csv"]`, dated{last: last},
			[]string{`the list of holidays is at fault; the one that was read last stays in force` + redo, `"x.csv", line 2: "x" is no date`}, last,
		},
		{"no file", `[]`, dated{desk: true}, []string{`dalaba.toml:16: calendar.files: the list is empty`}, nil},
		{"no list", `"a.csv"`, dated{desk: true}, []string{`dalaba.toml:16: calendar.files: `}, nil},
	} {
		c.lib.lists = lists
		cfg, problems := config.Read("dalaba.toml", []byte(strings.Replace(workdays, `["a.csv"]`, c.files, 1)), c.lib)
		var text []string
		for _, p := range problems {
			text = append(text, p.Error())
		}
		if (cfg == nil) != c.lib.desk || len(problems) != len(c.want) {
			t.Errorf("%s: %q", c.name, text)
			continue
		}
		for i, w := range c.want {
			if !strings.Contains(text[i], w) {
				t.Errorf("%s: %s\nwant %s", c.name, text[i], w)
			}
		}
		if cfg != nil && (!cfg.CalendarFaulty || len(cfg.CalendarFaults) != 1 || cfg.Calendar != c.calendar || cfg.Slots[0].Calendar != c.calendar) {
			t.Errorf("%s: %v", c.name, cfg.Calendar)
		}
	}
}

func TestDaysThatGoByACalendarNeedOneThatReaches(t *testing.T) {
	const sunday = "[[quiet]]\nfrom = \"12:00\"\nto = \"14:00\"\ndays = [\"Holiday\", \"周一\"]\n"
	list := strings.Replace(workdays, `"工作日"`, `"周六"`, 1)
	without, _, _ := strings.Cut(workdays, "[calendar]")
	for _, c := range []struct {
		name, text, now, want string
	}{
		{"no table", without, "2026-05-01", `dalaba.toml:14: slot[1].days: (warning) no list of holidays covers 2026: workdays are Monday to Friday there; put the official days off and days worked into a file, and name it in files of [calendar]`},
		{"no table, near the end of a year", without, "2026-11-05", `covers 2026, 2027: `},
		{"it covers the year", workdays, "2026-11-01", ""},
		{"it ends within sixty days", workdays, "2026-11-02", "dalaba.toml:14: slot[1].days: (warning) no list of holidays covers 2027: "},
		{"nothing goes by it", list, "2027-05-01", ""},
		{"quiet hours go by it", list + sunday, "2027-05-01", "dalaba.toml:20: quiet[1].days: (warning) no list of holidays covers 2027: "},
	} {
		_, problems := config.Read("dalaba.toml", []byte(c.text), dated{lists: map[string]string{"a.csv": "2026-10-01 休"}, now: c.now, desk: true})
		got := ""
		for _, p := range problems {
			got += p.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || len(problems) > 1 {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestQuietHoursOfWorkdaysMayOverlapThoseOfASaturday(t *testing.T) {
	const spans = base + "[[quiet]]\nfrom = \"12:00\"\nto = \"14:00\"\ndays = [\"工作日\"]\n[[quiet]]\nfrom = \"13:00\"\nto = \"15:00\"\ndays = [\"%s\"]\n"
	for other, want := range map[string]string{
		"节假日": "",
		"周六":  "dalaba.toml:11: quiet[2]: it overlaps the quiet hours in line 7; in some years a Saturday or Sunday is worked and a weekday is off: name workday or holiday in both, or move one to other hours",
	} {
		_, problems := config.Read("dalaba.toml", fmt.Appendf(nil, spans, other), shelf{})
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || problems[0].Error() != want) {
			t.Errorf("%s: %v", other, problems)
		}
	}
}

// By another calendar any day is worked or off, so none refuses a config.
func TestNoCalendarRefusesASlot(t *testing.T) {
	for _, c := range []struct {
		name, cron, days, more string
		refused                bool
	}{
		{"Saturdays that make up", "30 7 * * sat", `"工作日"`, "", false},
		{"Wednesdays off", "30 7 * * wed", `"节假日"`, `from = 2027-01-01`, false},
		{"a day that comes never", "30 7 30 2 *", `"工作日"`, "", true},
		{"too late each day", "30 7 * * sat", `"工作日"`, "missed = \"late\"\nuntil = \"07:00\"", true},
	} {
		text := strings.NewReplacer("30 7 * * *", c.cron, `"工作日"]`, c.days+"]\n"+c.more).Replace(workdays)
		for _, list := range []string{"2026-10-01 休", "2026-10-10 班"} {
			if cfg, problems := config.Read("dalaba.toml", []byte(text), dated{lists: map[string]string{"a.csv": list}, desk: true}); (cfg == nil) != c.refused {
				t.Errorf("%s: %v", c.name, problems)
			}
		}
	}
}

func TestAPushFileHasTheWordsAndNoCalendar(t *testing.T) {
	slot := strings.TrimPrefix(workdays, base)
	text, table, _ := strings.Cut(slot, "[calendar]")
	push, problems := config.ReadPush("push.toml", []byte(text), time.UTC, dated{})
	if push == nil || len(problems) > 0 || push.Slots[0].Days != playlist.Workdays || push.Slots[0].Calendar != nil {
		t.Errorf("%+v, %v", push, problems)
	}
	if push, problems = config.ReadPush("push.toml", []byte(text+"[calendar]"+table), time.UTC, dated{}); push != nil || len(problems) != 1 || problems[0].Key != "calendar" {
		t.Errorf("with a table: %v", problems)
	}
}

func TestDaysWrittenOtherwiseGetTheListThatIsMeant(t *testing.T) {
	for written, want := range map[string]string{
		`"工作日"`: `["工作日"]`, `"节假日"`: `["节假日"]`, `"周一至周三"`: `["周一", "周二", "周三"]`, `"Workday"`: `["workday"]`, `"周二"`: `["周二"]`, `"weekends"`: `["sat", "sun"]`, `"sometimes"`: `["mon"]`,
		`["法定节假日"]`: `["节假日"]`, `["假日"]`: `["节假日"]`, `["休息日"]`: `["节假日"]`, `["workdays"]`: `["workday"]`, `["Holidays"]`: `["holiday"]`,
		`["weekday"]`: `["mon", "tue", "wed", "thu", "fri"]`, `["weekdays"]`: `["mon", "tue", "wed", "thu", "fri"]`, `["weekend"]`: `["sat", "sun"]`, `["周末"]`: `["周六", "周日"]`,
	} {
		text := strings.Replace(workdays, `["工作日"]`, written, 1)
		_, problems := config.Read("dalaba.toml", []byte(text), dated{lists: map[string]string{"a.csv": "2026-10-01 休"}, desk: true})
		if len(problems) != 1 || problems[0].Line != 14 || !strings.HasSuffix(problems[0].Error(), "days = "+want) {
			t.Errorf("%s: %v, want %s", written, problems, want)
		}
	}
}
