package devices_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"dalaba/devices"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

func TestProgramsThatHoldACardAreFound(t *testing.T) {
	proc := fstest.MapFS{
		"asound/card1/pcm0p/sub0/status": {Data: []byte("state: RUNNING\nowner_pid   : 815\ntrigger_time: 1.2\n")},
		"asound/card1/pcm3p/sub0/status": {Data: []byte("closed\n")},
		"asound/card1/pcm0c/sub0/status": {Data: []byte("owner_pid   : 99\n")},
		"asound/PCH/pcm0p/sub0/status":   {Data: []byte("owner_pid   : 815\n")},
		"815/status":                     {Data: []byte("Name:\tmpd\nUmask:\t0022\nTgid:\t812\nPid:\t815\n")},
	}
	mpd := []devices.Holder{{PID: 812, Name: "mpd"}}
	for _, c := range []struct {
		name, pcm string
		want      []devices.Holder
	}{
		{"by card id", "plughw:CARD=PCH", mpd},
		{"by index", "hw:1", mpd},
		{"by index and device", "hw:1,0", mpd},
		{"another device of the card is free", "hw:CARD=1,DEV=3", nil},
		{"a card that does not exist", "hw:CARD=USB", nil},
		{"a PCM that belongs to no card", "default", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []devices.Holder
			if card, dev, ok := devices.CardOf(c.pcm); ok {
				got = devices.HoldersIn(proc, card, dev)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestDescribeNamesWhatAnOutputDrives(t *testing.T) {
	for device, want := range map[string]string{
		"wav:a.wav":          "writes the WAV file a.wav",
		"null:":              "card's pace",
		"plughw:CARD=Device": "sound card plughw:CARD=Device",
		"":                   "names no device",
	} {
		m := devices.Describe(playlist.Output{Name: "square", Device: device})
		if got := m.In(say.English); !strings.Contains(got, want) {
			t.Errorf("%q: %s", device, got)
		}
	}
}
