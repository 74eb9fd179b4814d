package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/cmd/cli"
	"dalaba/controller"
	"dalaba/controller/site"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
)

// aKey is a key of the catalogue, of which none is to be seen.
var aKey = regexp.MustCompile(`(?:alerts|alert|cli|view|outcome|reason|why)\.[a-z_]+`)

// Whatever a message is, by whatever program, what the verb shows of it are words.
func TestNoKeyOfTheCatalogueIsShownOfAnAlert(t *testing.T) {
	states := []emergency.State{
		emergency.StateWaiting, emergency.StateAiring, emergency.StateDone, emergency.StatePartial, emergency.StateFailed,
		emergency.StateCancelled, emergency.StateRefused, emergency.StateLogged, "", "of a newer program",
	}
	kinds := []emergency.Kind{emergency.KindRequest, emergency.KindUpdate, emergency.KindCancel, emergency.KindAnswer, "", "of a newer program"}
	classes := []emergency.Class{
		emergency.ClassEmergency, emergency.ClassDrillActual, emergency.ClassDrillSimulated, emergency.ClassDrillSystem, emergency.ClassTest,
		emergency.ClassNotPublic, emergency.ClassDaily, "", "of a newer program",
	}
	reasons := []emergency.Reason{
		emergency.ReasonNone, emergency.ReasonArea, emergency.ReasonExpired, emergency.ReasonSignature, emergency.ReasonUnsigned, emergency.ReasonReplay,
		emergency.ReasonDrill, emergency.ReasonSilent, emergency.ReasonCancelled, emergency.ReasonSuperseded, emergency.ReasonWithdrawn, "of a newer program",
	}
	signatures := []emergency.SignatureState{
		emergency.SignatureAbsent, emergency.SignatureVerified, emergency.SignatureBad, emergency.SignatureUnknown, "", "of a newer program",
	}
	sources := []playlist.AlertSource{playlist.AlertAtSite, playlist.AlertByHand, playlist.AlertByLink, ""}
	s := &site.Site{Config: &config.Config{}}
	s.Site.Zone = time.UTC
	for _, lang := range []string{"--lang=zh-CN", "--lang=en"} {
		var out bytes.Buffer
		a := &app{App: cli.New("dalaba", []string{lang}, strings.NewReader(""), &out, &out)}
		a.Lang = strings.TrimPrefix(lang, "--lang=")
		n := 0
		for _, state := range states {
			for _, kind := range kinds {
				for _, class := range classes {
					for _, reason := range reasons {
						n++
						r := emergency.Record{State: state, Reason: reason, Source: sources[n%len(sources)], Alert: emergency.Alert{
							Kind: kind, Class: class, Level: emergency.Level(n % 6),
							Signature: emergency.Signature{State: signatures[n%len(signatures)], Why: []string{"", "alert.seal_digest", "alert.of_a_newer_program"}[n%3]},
							Audio: []emergency.Audio{
								{Name: "a", Data: []byte{0}, Matched: []string{alert.OfBytes, alert.OfBase64, alert.OfNone, "", "of a newer program"}[n%5]}, {Name: "b"},
							},
						}}
						v := site.Alert{Record: r, Known: n%7 == 0, PassS: float64(n % 2)}
						_, recordings := controller.SoundOf(r.Alert, r, &config.Config{})
						for _, x := range recordings {
							x.Reason = x.Why.In(a.Language())
							v.Recordings = append(v.Recordings, x)
						}
						out.Reset()
						a.alertShow(s, v, n%2 == 0)
						out.WriteString(a.alertState(r, time.UTC))
						if found := aKey.FindString(out.String()); found != "" {
							t.Fatalf("%q is shown:\n%s", found, out.String())
						}
					}
				}
			}
		}
	}
}
