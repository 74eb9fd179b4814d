package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/cmd/cli"
	"dalaba/link"
)

// slowShelf is the store of a controller that takes hours over a stick.
type slowShelf struct{ link.ControllerStore }

var errAtLast = errors.New("at last")

func (slowShelf) Documents(ctx context.Context) ([]link.Stored, error) {
	if err := pause(ctx, 3*time.Hour); err != nil {
		return nil, err
	}
	return nil, errAtLast
}

func TestALongImportIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{
			app:    &app{App: cli.New("dalaba", nil, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})},
			county: &countyLink{ctl: &link.Controller{Store: slowShelf{}}},
		}
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.attendHand(t.Context(), there)
		}()
		if err := json.NewEncoder(here).Encode(handOrder{Do: "carrier", File: "/stick"}); err != nil {
			t.Fatal(err)
		}
		lines := json.NewDecoder(here)
		for {
			_ = here.SetReadDeadline(time.Now().Add(handQuiet))
			var r handReport
			if err := lines.Decode(&r); err != nil {
				t.Errorf("broke off: %v", err)
				break
			}
			if r.Over {
				if r.Stopped || !strings.Contains(r.Error, errAtLast.Error()) {
					t.Errorf("ended by %+v", r)
				}
				break
			}
		}
		_ = here.Close()
		<-done
	})
}
