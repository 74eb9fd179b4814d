package main

import (
	"bytes"
	"testing"

	"dalaba/cmd/cli"
	"dalaba/controller/site"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

func TestASlotIsCalledAsTablesCallIt(t *testing.T) {
	ofCounty := playlist.CountyName("area:341523000000", "早间")
	evening := playlist.CountyName("area:341523000000", "晚间")
	s := &site.Site{Config: &config.Config{}}
	s.Slots = []playlist.Slot{{Name: ofCounty}, {Name: evening}, {Name: "早间"}}
	var out bytes.Buffer
	a := &app{App: cli.New("dalaba", []string{"--lang=zh-CN"}, nil, &out, &out)}
	for _, c := range []struct{ name, text, want string }{
		{"its own name goes first", "早间", "早间"},
		{"the county's, as tables have it", "早间（县）", ofCounty},
		{"the county's, without the mark", "晚间", evening},
		{"the county's, as rows have it", ofCounty, ofCounty},
		{"none", "", ""},
	} {
		if got, err := a.slotNamed(t.Context(), s, c.text); got != c.want || err != nil {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	_, err := a.slotNamed(t.Context(), s, "晚上")
	if want := `there is no slot "晚上"; there are: 早间（县）、晚间（县）、早间`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
