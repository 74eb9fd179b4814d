package config_test

import (
	"slices"
	"testing"
	"time"

	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

func TestAPushFileHasPlaylistsAndSlotsAlone(t *testing.T) {
	const lessons = "[[playlist]]\nname = \"lessons\"\nclips = [\"clips/*.mp3\"]\n"
	slot := func(more string) string {
		return lessons + "[[slot]]\nname = \"morning\"\nplaylist = \"lessons\"\ncron = \"30 7 * * *\"\n" + more
	}
	for _, c := range []struct {
		name, text string
		problems   []string
	}{
		{"both", "\ufeff" + slot(""), nil},
		{"nothing", "", nil},
		{"a playlist that no slot airs", lessons, []string{`/etc/dalaba/push.toml:2: playlist[1].name: (warning) no slot airs the playlist "lessons"; add a [[slot]] for it, or delete it`}},
		{"all that is wrong", "[site]\nname = \"x\"\n[[playlist]]\nnaem = \"lessons\"\n[[slot]]\nname = \"morning\"\nplaylist = \"lesson\"\ncron = \"99 7 * * *\"\n[[output]]\n", []string{
			`/etc/dalaba/push.toml:1: site: a push has no use for this table; write [[playlist]], [[slot]] and [[exception]] only`,
			`/etc/dalaba/push.toml:3: playlist[1]: the playlist has no clips; add series = "NAME" or clips = ["clips/*.mp3"]`,
			`/etc/dalaba/push.toml:4: playlist[1].naem: there is no key "naem"; did you mean name`,
			`/etc/dalaba/push.toml:7: slot[1].playlist: there is no playlist "lesson"; did you mean lessons`,
			`/etc/dalaba/push.toml:8: slot[1].cron: field 1 (minute): "99" is out of range; use 0 to 59`,
			`/etc/dalaba/push.toml:9: output: a push has no use for this table; write [[playlist]], [[slot]] and [[exception]] only`,
		}},
		{"the name of an output", slot("outputs = [\"村口\"]\n"), []string{
			`/etc/dalaba/push.toml:8: slot[1].outputs: there is no output "村口"; add an [[output]] with name = "村口", or name one that is there`,
		}},
		{"a table that no file has", "[feed]\n", []string{`/etc/dalaba/push.toml:1: feed: there is no table "feed"; the tables are: playlist, slot, exception`}},
		{"a key of a slot before all tables", "cron = \"30 7 * * *\"\n", []string{
			`/etc/dalaba/push.toml:1: cron: the key "cron" stands outside every table; move it below [[slot]]`,
		}},
		{"an error of the TOML syntax", lessons + "[[slot]]\nname = \"morning\nplaylist = \"lessons\"\n", []string{
			`/etc/dalaba/push.toml:5:16: a quote is not closed; close the text with a quote`,
		}},
		{"a slot instead of another, and exceptions", slot("instead = true\n") + "[[exception]]\nslot = \"evening\"\ndays = [\"2026-12-01\"]\nat = [\"09:30\"]\n", nil},
		{"exceptions that say too little, or too much", "[[exception]]\ndays = [\"2026-12-01\"]\n[[exception]]\nslot = \"evening\"\n[[exception]]\nslot = \"evening\"\ndays = [\"2026-12-01\"]\nfrom = \"2026-12-01\"\nat = [\"24:00\", \"9\"]\n[[exception]]\nslot = \"noon\"\nfrom = \"2026-12-02\"\nto = \"2026-12-01\"\nat = []\n", []string{
			`/etc/dalaba/push.toml:1: exception[1].slot: the key is required; add it, such as slot = "早间健康"`,
			`/etc/dalaba/push.toml:3: exception[2].days: it names no days; add days = ["2026-12-01"], or from and to for a stretch of days`,
			`/etc/dalaba/push.toml:7: exception[3].days: there are days and from or to; keep days for single days, or from and to for a stretch of them`,
			`/etc/dalaba/push.toml:9: exception[3].at: "24:00" is no time of day; use brackets and double quotes, such as at = ["09:30"]`,
			`/etc/dalaba/push.toml:9: exception[3].at: "9" is no time of day; use brackets and double quotes, such as at = ["09:30"]`,
			`/etc/dalaba/push.toml:13: exception[4].to: its first day 2026-12-02 comes after its last day 2026-12-01; swap from and to`,
			`/etc/dalaba/push.toml:14: exception[4].at: the list is empty; name at least one, such as at = ["09:30"], or delete the key`,
		}},
		{"two exceptions for a day", "[[exception]]\nslot = \"evening\"\ndays = [\"2026-12-01\", \"2026-12-03\"]\n[[exception]]\nslot = \"noon\"\ndays = [\"2026-12-03\"]\n[[exception]]\nslot = \"evening\"\nfrom = \"2026-12-03\"\n", []string{
			`/etc/dalaba/push.toml:8: exception[3].slot: it has a day in common with [[exception]] 1; name each day of a slot once`,
		}},
		{"text that looks like a table", slot("") + "[[playlist]]\nname = \"more\"\ntitle = '''\n[site]'''\nseries = \"健康微课堂\"\n", []string{
			`/etc/dalaba/push.toml:9: playlist[2].name: (warning) no slot airs the playlist "more"; add a [[slot]] for it, or delete it`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, problems := config.ReadPush("/etc/dalaba/push.toml", []byte(c.text), time.FixedZone("CST", 8*3600), shelf{})
			var got []string
			for _, x := range problems {
				got = append(got, x.In(say.English))
			}
			if !slices.Equal(got, c.problems) {
				t.Errorf("%q\nwant %q", got, c.problems)
			}
			if refused := config.Refused(problems); refused != (p == nil) {
				t.Errorf("refused: %v, read: %+v", refused, p)
			}
			if c.name == "a slot instead of another, and exceptions" && (!p.Slots[0].Instead || len(p.Exceptions) != 1 || p.Exceptions[0].At[0] != 9*60+30) {
				t.Errorf("%+v", p)
			}
			if c.name == "both" && (len(p.Playlists) != 1 || len(p.Playlists[0].Clips) != 2 || len(p.Slots) != 1 || p.Slots[0].Outputs != nil) {
				t.Errorf("%+v", p)
			}
		})
	}
}
