package alert_test

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

func TestWhatIsWrittenReadsTheSame(t *testing.T) {
	at := time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC)
	sound := []byte("sound <&> \x00")
	sum := sha256.Sum256(sound)
	for _, level := range []emergency.Level{emergency.Red, emergency.Orange, emergency.Yellow, emergency.Blue} {
		a := emergency.Alert{
			ID: "local:root,hand-1,2026-11-28T05:00:00-00:00", Format: "CAP 1.2", Identifier: "hand-1", Sender: "local:root", SenderName: "小李村 <1>",
			Sent: at, NotBefore: at, NotAfter: at.Add(time.Hour), Kind: emergency.KindUpdate, Class: emergency.ClassDrillActual, Level: level, Event: "汛情",
			Areas: []playlist.Area{"320924100201", "320924100202"}, Refs: []playlist.AlertID{"me@example.cn,1,2026-11-28T04:00:00-00:00"},
			Texts: []emergency.Text{{Language: "zh-CN", Title: "标题", Text: "请转移 & 快"}},
			Audio: []emergency.Audio{{Name: "a.mp3", MediaType: "audio/mpeg", Data: sound, Size: int64(len(sound)), SHA256: playlist.ClipID(hex.EncodeToString(sum[:]))}},
		}
		raw, err := alert.WriteCAP(a, time.FixedZone("", 8*3600))
		if err != nil {
			t.Fatal(err)
		}
		m, err := alert.Parse(t.Context(), raw, alert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if m.Verdict != alert.Valid || len(m.Warnings) > 0 {
			t.Errorf("%s, %v\n%s", m.Verdict, m.Warnings, raw)
		}
		got := m.Alert
		if x := got.Audio[0]; x.Matched != alert.OfBytes || !x.Inline {
			t.Errorf("the sound: %+v", x)
		}
		got.Audio[0].Matched, got.Audio[0].Digest, got.Audio[0].Inline, got.Signature = "", "", false, emergency.Signature{}
		if !reflect.DeepEqual(got, a) {
			t.Errorf("got  %+v\nwant %+v", got, a)
		}
	}
}
