package county_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"dalaba/county"
	"dalaba/playlist/emergency"
)

func TestTheClipOfARedAlertWaitsForNoneBelowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q county.Turns
		var order []string
		begin := make(chan string, 300)
		ends := map[string]chan struct{}{}
		ask := func(ctx context.Context, id string, l emergency.Level) {
			end := make(chan struct{})
			ends[id] = end
			of := emergency.Alert{Class: emergency.ClassEmergency, Level: l}.Precedence(0, emergency.Precedence{}.Received)
			go func() {
				done, ok := q.Wait(ctx, of)
				if !ok {
					return
				}
				begin <- id
				<-end
				done()
			}()
			synctest.Wait()
		}
		begun := func() []string {
			synctest.Wait()
			for len(begin) > 0 {
				order = append(order, <-begin)
			}
			return order
		}
		hungUp, hangUp := context.WithCancel(t.Context())
		ask(t.Context(), "blue 1", emergency.Blue)
		ask(t.Context(), "blue 2", emergency.Blue)
		ask(t.Context(), "blue 3", emergency.Blue)
		ask(hungUp, "blue 4", emergency.Blue)
		ask(t.Context(), "yellow", emergency.Yellow)
		ask(t.Context(), "red 1", emergency.Red)
		ask(t.Context(), "red 2", emergency.Red)
		ask(t.Context(), "red 3", emergency.Red)
		if got := begun(); !slices.Equal(got, []string{"blue 1", "blue 2", "yellow", "red 1", "red 2"}) {
			t.Errorf("begun: %q", got)
		}
		hangUp()
		for _, id := range []string{"blue 1", "blue 2", "red 1", "yellow", "red 2", "red 3"} {
			close(ends[id])
			begun()
		}
		close(ends["blue 3"])
		if got := begun(); !slices.Equal(got[5:], []string{"red 3", "blue 3"}) {
			t.Errorf("then begun: %q", got[5:])
		}
	})
}
