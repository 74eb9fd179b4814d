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
	const json = `write {"days": [{"name": "New Year", "date": "2026-01-01", "isOffDay": true}]}, or a list with a day on each line`
	for _, c := range []struct {
		name, text string
		want       []string
		zh         string
	}{
		{"a day that there is not", "2026-10-01,休\n2026-02-30,休", []string{`"a.csv", line 2: "2026-02-30" is no date; ` + en}, "“a.csv”第 2 行：“2026-02-30”不是有效日期；" + zh},
		{"an end without a year", "日期\n\n2026年10月1日至7日,休", []string{`"a.csv", line 3: "2026年10月1日~7日" is no date; ` + en}, ""},
		{"a second header", "日期,类型\n日期,类型\n2026-10-01,休", []string{`"a.csv", line 2: "日期" is no date; ` + en}, ""},
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
		{"a workbook", "PK\x03\x04\x00\x00", []string{`"a.csv" is no text in UTF-8 or GBK; save it from Excel as "CSV UTF-8 (comma delimited)"`}, ""},
		{"bytes that are no text", "\xff\xff\xff", []string{`"a.csv" is no text in UTF-8 or GBK; save it from Excel as "CSV UTF-8 (comma delimited)"`}, ""},
		{"another file altogether", strings.Repeat("0 x\n", 100), slices.Repeat([]string{`: "0" is no date; ` + en}, 5), ""},
		{"JSON that breaks off", "{\"days\": [\n{\"date\": \n", []string{`"a.csv", line 3: it is no JSON that can be read; ` + json}, ""},
		{"JSON without days", `{"year": 2026}`, []string{`"a.csv" names no day; ` + en}, ""},
		{"JSON with a date that is none", "{\"days\": [\n{\"date\": \"2026-01-01\", \"isOffDay\": true},\n{\"date\": \"1月2日\", \"isOffDay\": true}]}", []string{`"a.csv", line 3: "1月2日" is no date; ` + json}, ""},
		{"JSON without a kind", "{\"days\": [\n{\"date\": \"2026-01-01\"}]}", []string{`"a.csv", line 2: it does not say if the day is off or worked; ` + json}, ""},
		{"JSON with days of another kind", `{"days": ["2026-01-01"]}`, []string{`"a.csv", line 1: "" is no date; ` + json}, ""},
	} {
		cfg, problems := config.Read("dalaba.toml", []byte(workdays), dated{lists: map[string]string{"a.csv": c.text}, desk: true})
		if cfg != nil || len(problems) != len(c.want) {
			t.Errorf("%s: %d problems, want %d: %v", c.name, len(problems), len(c.want), problems)
			continue
		}
		for i, p := range problems {
			got := p.Error()
			if !strings.HasPrefix(got, "dalaba.toml:16: calendar.files: ") || !strings.HasSuffix(got, c.want[i]) {
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
	lists := map[string]string{"b.csv": "2026-10-01,休", "c.csv": "2026-10-01,班", "x.csv": "x\nx"}
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
		if cfg != nil && (cfg.Calendar != c.calendar || cfg.Slots[0].Calendar != c.calendar) {
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
