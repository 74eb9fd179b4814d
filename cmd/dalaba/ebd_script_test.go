package main

import (
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

var ebdCmds = map[string]func(*testscript.TestScript, bool, []string){"ebd": ebd, "ebdkeys": ebdKeys}

// ebdkeys DIR makes a sender and an authority that vouches for it:
// DIR/sender.key, DIR/sender.cer and DIR/ca.key, the authority's public half.
func ebdKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ebdkeys dir")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	seed := func() []byte {
		key, err := sm2.GenerateKey(rand.Reader)
		ts.Check(err)
		der, err := smx509.MarshalSM2PrivateKey(key)
		ts.Check(err)
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	}
	authority, err := alert.NewSigner(seed(), [6]byte{0, 0, 0, 0, 0, 1})
	ts.Check(err)
	serial := [6]byte{0, 0, 0, 0, 0, 9}
	key := seed()
	sender, err := alert.NewSigner(key, serial)
	ts.Check(err)
	cert, err := authority.Issue(serial, sender.Public())
	ts.Check(err)
	for name, b := range map[string][]byte{"sender.key": key, "sender.cer": cert.Bytes(), "ca.key": authority.Public().Bytes()} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
}

// ebd FILE NUMBER SEVERITY REF SOUND KEYS COUNTER writes an EBD package: a
// request or, where REF names another's number, its cancel; "-" leaves out the
// reference, the sound or the signature. SOUND is a file, or a file, a comma and the
// digest that the message declares of it, "-" for none.
func ebd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 7 {
		ts.Fatalf("usage: ebd file number severity ref sound keys counter")
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		ts.Check(err)
		return n
	}
	const from = "332092400000000001"
	id := func(n string) playlist.AlertID {
		return playlist.AlertID(alerttest.EBMID(from, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), number(n)))
	}
	a := emergency.Alert{
		ID: id(args[1]), Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
		Sender: from, SenderName: "县应急局", Sent: time.Now(), EventCode: "11B01", NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		Areas: []playlist.Area{"320924000000"}, Texts: []emergency.Text{{Language: "zh-CN", Title: "汛情通知", Text: "请转移到高处。"}},
	}
	switch severity := number(args[2]); severity {
	case 21, 22, 23:
		a.Class = []emergency.Class{emergency.ClassDrillSystem, emergency.ClassDrillSimulated, emergency.ClassDrillActual}[severity-21]
	default:
		a.Level = emergency.Level(severity)
	}
	if args[3] != "-" {
		a.Kind, a.Refs = emergency.KindCancel, []playlist.AlertID{id(args[3])}
	}
	if args[4] != "-" {
		path, digest, _ := strings.Cut(args[4], ",")
		b, err := os.ReadFile(ts.MkAbs(path))
		ts.Check(err)
		a.Audio = []emergency.Audio{{Name: filepath.Base(path), MediaType: "audio/mpeg", Data: b, Digest: digest}}
	}
	var sign alert.Sign
	if args[5] != "-" {
		key, err := os.ReadFile(filepath.Join(ts.MkAbs(args[5]), "sender.key"))
		ts.Check(err)
		by, err := alert.NewSigner(key, [6]byte{0, 0, 0, 0, 0, 9})
		ts.Check(err)
		sign = alert.Sign{By: by, Counter: uint32(number(args[6]))}
	}
	head := alert.EBD{Version: "1.0", ID: alert.EBDID(from, uint64(number(args[1]))), From: from, To: strings.Repeat("1", 18), Time: time.Now()}
	p, err := alerttest.Request(head, a, sign)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), p.Tar, 0o644))
}
