//go:build cgo && !noalsa

package devices_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"dalaba/devices"
	"dalaba/devices/vcard"
	"dalaba/playlist"
)

func TestTheMixerIsSetToTheLevel(t *testing.T) {
	for _, c := range []struct {
		name     string
		spec     vcard.Spec
		db       float64
		levelled bool
		at       float64 // the mixer's level afterwards
		advice   string
	}{
		{"a level within range is set and the card unmuted", vcard.Spec{Mixer: true}, -20, true, -20, ""},
		{"a level between steps takes the step below", vcard.Spec{Mixer: true}, -20.3, true, -20.5, ""},
		{"0 dB is the mixer's maximum", vcard.Spec{Mixer: true}, 0, true, 0, ""},
		{"a card with a range above 0 dB is set to the level", vcard.Spec{Mixer: true, MinDB: -40, MaxDB: 12}, -6, true, -6, ""},
		{"a card's only volume is set to the level, whatever its name", vcard.Spec{Mixer: true, Control: "Audio Output"}, -20, true, -20, ""},
		{"a level out of range is left to software", vcard.Spec{Mixer: true, MinDB: -20}, -40, false, 0, "cannot reach -40.0 dB"},
		{"a card without a dB scale is only unmuted, with advice", vcard.Spec{Mixer: true, NoScale: true}, -10, false, -50, "no dB scale"},
		{"a card without a mixer is left to software", vcard.Spec{}, -10, false, -50, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Name = "left"
			card := rack(t, c.spec)[0]
			var log bytes.Buffer
			d, err := devices.Open(t.Context(), playlist.Output{Device: "left", LevelDB: c.db},
				devices.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			must(t, err)
			defer shut(t, d)
			if d.Levelled() != c.levelled {
				t.Errorf("levelled: %v, want %v", d.Levelled(), c.levelled)
			}
			db, on, err := card.Level()
			must(t, err)
			if db != c.at || on != c.spec.Mixer {
				t.Errorf("the mixer stands at %v dB, on %v; want %v dB", db, on, c.at)
			}
			if !strings.Contains(log.String(), c.advice) || c.advice == "" && strings.Contains(log.String(), "WARN") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestInspectReadsACardAndDoesNotChangeItsMixer(t *testing.T) {
	card := rack(t, vcard.Spec{Name: "left", Mixer: true})[0]
	l, err := devices.Inspect("left", true)
	must(t, err)
	if l.Mixer != "left" || l.Level == nil || l.Level.Name != "Master" || len(l.Muted) != 1 || l.Muted[0] != "Master" {
		t.Errorf("looks like %+v", l)
	}
	if db, on, err := card.Level(); err != nil || db != -50 || on {
		t.Errorf("the mixer was moved to %v dB, on %v, %v", db, on, err)
	}
	must(t, card.Unplug())
	if _, err = devices.Inspect("left", true); !errors.Is(err, devices.ErrNoCard) {
		t.Errorf("unplugged: %v", err)
	}
	if _, err = devices.Inspect("left", false); err != nil {
		t.Errorf("not tried: %v", err)
	}
}

func TestListShowsConfiguredPCMs(t *testing.T) {
	rack(t, vcard.Spec{Name: "left"}, vcard.Spec{Name: "right"})
	l, err := devices.List()
	must(t, err)
	var names []string
	for _, p := range l.Other {
		names = append(names, p.Name)
	}
	for _, want := range []string{"left", "right"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("%v lacks %s", names, want)
		}
	}
}

func TestAutoChoosesTheFirstCardThatPlays(t *testing.T) {
	name, err := devices.First([]devices.Card{
		{ID: "Camera"},
		{ID: "Device", PCMs: []devices.PCM{{Name: "plughw:CARD=Device"}, {Name: "plughw:CARD=Device,DEV=1"}}},
		{ID: "HDMI", PCMs: []devices.PCM{{Name: "plughw:CARD=HDMI"}}},
	})
	if err != nil || name != "plughw:CARD=Device" {
		t.Errorf("chose %q, %v", name, err)
	}
	_, err = devices.First(nil)
	for _, want := range []string{"wav:", "null:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with no card: %v, which does not name %s", err, want)
		}
	}
}

func TestTheMixerOfAPCMIsFoundByItsName(t *testing.T) {
	for pcm, want := range map[string]string{
		"plughw:CARD=Device":    "hw:Device",
		"hw:CARD=PCH,DEV=3":     "hw:PCH",
		"plughw:1,0":            "hw:1",
		"sysdefault:CARD=Audio": "hw:Audio",
		"default":               "default",
		"left":                  "left",
		"plug:left":             "left",
	} {
		if got := devices.MixerOf(pcm); got != want {
			t.Errorf("%s: %s, want %s", pcm, got, want)
		}
	}
}
