package config_test

import (
	"fmt"
	"strings"
	"testing"

	"dalaba/playlist/config"
)

func TestWhatAConfigChangesIsListed(t *testing.T) {
	const text = `
[site]
name = "大坝村"
area = "341523100201"
data_dir = "data"
clock = "battery"

[[output]]
name = "east"
device = "null:"

[[playlist]]
name = "lessons"
clips = ["/srv/1.mp3"]

[[slot]]
name = "morning"
playlist = "lessons"
cron = "0 7 * * *"

[calendar]
files = ["2026.csv"]
`
	read := func(text string) *config.Config {
		t.Helper()
		lists := dated{lists: map[string]string{"2026.csv": "2026-10-01 休", "2027.csv": "2027-10-01 休"}}
		cfg, problems := config.Read("dalaba.toml", []byte(text), lists)
		if cfg == nil {
			t.Fatal(problems)
		}
		return cfg
	}
	for _, c := range []struct {
		name     string
		old, new string // of the text; empty: new is put at the end
		want     string
	}{
		{"nothing", "east", "east", "[]"},
		{"another time of a slot", "0 7", "0 8", "[{changed slot morning}]"},
		{"another name of a slot", "morning", "noon", "[{added slot noon} {removed slot morning}]"},
		{"a new output", "", "[[output]]\nname = \"west\"\ndevice = \"null:\"\n", "[{added output west} {changed slot morning}]"},
		{"another device", "null:", "wav:x.wav", "[{changed output east}]"},
		{"another order", "clips =", "order = \"shuffle\"\nclips =", "[{changed playlist lessons}]"},
		{"another name of the site", "大坝村", "小坝村", "[{changed setting site}]"},
		{"new quiet hours", "", "[[quiet]]\nfrom = \"12:00\"\nto = \"13:00\"\n", "[{changed setting quiet}]"},
		{"another list of holidays", "2026.csv", "2027.csv", "[{changed calendar calendar}]"},
		{"another section", "", "[store]\nbackups = 3\n", "[{changed setting store}]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := text + c.new
			if c.old != "" {
				now = strings.ReplaceAll(text, c.old, c.new)
			}
			if got := fmt.Sprint(config.Changes(read(text), read(now))); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAChangedListOfHolidaysIsAChange(t *testing.T) {
	const quiet = base + "[[quiet]]\nfrom = \"12:00\"\nto = \"14:00\"\ndays = [\"workday\"]\n"
	read := func(text, list string) *config.Config {
		t.Helper()
		if list != "" {
			text += "[calendar]\nfiles = [\"a.csv\"]\n"
		}
		cfg, problems := config.Read("dalaba.toml", []byte(text), dated{lists: map[string]string{"a.csv": list}})
		if cfg == nil {
			t.Fatal(problems)
		}
		return cfg
	}
	slots, _, _ := strings.Cut(workdays, "[calendar]")
	for _, c := range []struct{ name, text, was, now, want string }{
		{"the same days, written otherwise", quiet, "2026-10-01 休", "2026/10/1,off", "[]"},
		{"another, by which quiet hours go", quiet, "2026-10-01 休", "2026-10-02 休", "[{changed calendar calendar}]"},
		{"another, by which slots go", slots, "2026-10-01 休", "2026-10-02 休", "[{changed slot 早} {changed calendar calendar}]"},
		{"a first one", quiet, "", "2026-10-01 休", "[{added calendar calendar}]"},
		{"none any more", quiet, "2026-10-01 休", "", "[{removed calendar calendar}]"},
	} {
		if got := fmt.Sprint(config.Changes(read(c.text, c.was), read(c.text, c.now))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
