package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"dalaba/county/notice"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

func TestTheSampleShowsWhatItDoes(t *testing.T) {
	s, problems := readSettings("sample.toml", sample)
	if s == nil {
		t.Fatal(problems)
	}
	// With its commented keys in force it is still good, but for files and a
	// store that are not there.
	all := bytes.ReplaceAll(sample, []byte("\n# [["), []byte("\n[["))
	all = bytes.ReplaceAll(all, []byte("\n# [mail]"), []byte("\n[mail]"))
	for _, key := range []string{"timezone", "language", "backups", "receipts", "listen", "url = \"https://county", "names", "timeout", "pace", "unsigned", "life", "drills", "review = ", "review_wait", "two_persons = ", "two_persons_wait", "url = \"https://alerts", "every", "silent",
		"host", "port", "from", "tls", "name =", "mail =", "about", "areas", "quiet", "limit", "all_is_well"} {
		all = bytes.Replace(all, []byte("\n# "+key), []byte("\n"+key), 2)
	}
	if s, problems = readSettings("sample.toml", all); s == nil {
		t.Fatal(problems)
	}
	if len(s.feeds) != 1 || s.life.String() != "1h0m0s" || s.HTTP.URL == "" || s.Ingest.Pace != 160 || s.backups != 7 || s.keepReceipts != 400*24*time.Hour {
		t.Errorf("%+v", s)
	}
	if n := s.notify[0]; len(s.notify) != 1 || n.Limit != 20 || len(n.About) != 5 || n.Language != say.Chinese || n.Quiet != (notice.Quiet{}) || n.Daily != nil {
		t.Errorf("%+v", s.notify)
	}
}

func TestAKeyThatNobodyKnowsHidesNoOtherFault(t *testing.T) {
	s, problems := readSettings("x.toml", []byte("[county]\nname = \"县\"\narea = \"341\"\ncolour = \"red\"\nreceipts = 3\n"))
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	for _, want := range []string{"county.area", "county.colour", "county.receipts"} {
		if s != nil || !slices.Contains(keys, want) {
			t.Errorf("%s is not among %v", want, keys)
		}
	}
}

func TestWhichAlertsWaitForAPerson(t *testing.T) {
	const start = "[county]\nname = \"县\"\narea = \"341523000000\"\ndata_dir = \"data\"\n[alert]\n"
	s, problems := readSettings("x.toml", []byte(start+"review = [\"黄\", \"blue\", \"2\"]\nreview_wait = \"3m\"\ntwo_persons = true\n"))
	if s == nil {
		t.Fatal(problems)
	}
	if want := []emergency.Level{emergency.Yellow, emergency.Blue, emergency.Orange}; !slices.Equal(s.review, want) || s.wait != 3*time.Minute || s.second != 2*time.Minute || s.Alert.Templates != "templates" {
		t.Errorf("%v for %v, two persons for %v, templates in %q", s.review, s.wait, s.second, s.Alert.Templates)
	}
	if s, problems := readSettings("x.toml", []byte(start)); s == nil || s.second != 0 || s.review != nil {
		t.Errorf("left out: %+v, %v", s, problems)
	}
	_, problems = readSettings("x.toml", []byte(start+"review = [\"purple\"]\nreview_wait = \"2d\"\ntemplates = \"nowhere\"\n"))
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"alert.review", "alert.review_wait", "alert.templates"}) {
		t.Errorf("%q", keys)
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(sample)
	f.Add([]byte("[county]\nname = 1\n[[feed]]\nurl = \"\"\n"))
	f.Add([]byte("colour = 1\n[county]\nreceipts = -1\n"))
	f.Add([]byte("county.area = \"341523000000\"\n[county]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, problems := readSettings("x.toml", text)
		if (s == nil) != (len(problems) > 0) {
			t.Errorf("settings %v, problems %v", s != nil, problems)
		}
		for _, p := range problems {
			if p.Line < 1 || p.In(say.Chinese) == "" || p.In(say.English) == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
