package controller

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
)

// Wherever a copy of a package stands, it is no message before all that it names is
// there: its sound, its signature.
func TestAPartOfAPackageIsNoMessage(t *testing.T) {
	const from = "332092400000000001"
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	a := emergency.Alert{
		ID: playlist.AlertID(alerttest.EBMID(from, at, 1)), Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
		Sender: from, SenderName: "县应急局", Sent: at, EventCode: "11B01", NotBefore: at, NotAfter: at.Add(time.Hour),
		Areas: []playlist.Area{"320924000000"}, Texts: []emergency.Text{{Language: "zh-CN", Title: "汛情通知", Text: "请转移到高处。"}},
		Audio: []emergency.Audio{{Name: "a.mp3", MediaType: "audio/mpeg", Data: bytes.Repeat([]byte("sound"), 500)}},
	}
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := smx509.MarshalSM2PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	by, err := alert.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), [6]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	head := alert.EBD{Version: "1.0", ID: alert.EBDID(from, 1), From: from, To: strings.Repeat("1", 18), Time: at}
	for _, sign := range []alert.Sign{{}, {By: by, Counter: 1}} {
		p, err := alerttest.Request(head, a, sign)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n <= len(p.Tar); n += 128 {
			part := p.Tar[:n]
			for _, last := range []bool{false, true} {
				err := wholeMessage(t.Context(), part, config.Alert{}, last)
				m, _ := alert.Parse(t.Context(), part, alert.Options{})
				switch {
				case n == len(p.Tar) && err != nil:
					t.Errorf("all of it: %v", err)
				case err == nil && len(m.Alert.Audio[0].Data) == 0:
					t.Errorf("%d of %d bytes are a message without its sound", n, len(p.Tar))
				case err == nil && !last && sign.By != nil && m.SignedMember == "":
					t.Errorf("%d of %d bytes are a message without its signature", n, len(p.Tar))
				case err == nil && !last && sign.By == nil && m.Unended:
					t.Errorf("%d of %d bytes are a message, though a signature may be yet to come", n, len(p.Tar))
				}
			}
		}
	}
}
