package schedule_test

import (
	"fmt"

	"dalaba/playlist"
)

func lessons(n int) []playlist.ClipID {
	ids := make([]playlist.ClipID, n)
	for i := range ids {
		ids[i] = playlist.ClipID(fmt.Sprintf("%064x", i+1))
	}
	return ids
}
