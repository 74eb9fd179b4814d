package playlist_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
)

func aSlot(t *testing.T) playlist.Slot {
	t.Helper()
	c, err := playlist.ParseCron("30 6 * * *")
	if err != nil {
		t.Fatal(err)
	}
	return playlist.Slot{Name: "morning", Playlist: "lessons", Cron: c, Outputs: []string{"east"}, Count: 1, Except: []playlist.Date{"2026-10-01"}}
}

// A slot that differs in any field, whatever fields there will be, is another.
func TestSlotsAreEqualIfEveryFieldIs(t *testing.T) {
	if a, b := aSlot(t), aSlot(t); !a.Equal(b) {
		t.Errorf("%+v and %+v differ", a, b)
	}
	spaced := aSlot(t)
	spaced.Since = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	elsewhere := spaced
	elsewhere.Since = spaced.Since.In(time.FixedZone("CST", 8*3600))
	if !spaced.Equal(elsewhere) {
		t.Error("one instant in two zones differs")
	}
	late, err := playlist.ParseCron("45 6 * * *")
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[playlist.Slot]()
	for i := range fields.NumField() {
		a := aSlot(t)
		f := reflect.ValueOf(&a).Elem().Field(i)
		switch v := f.Addr().Interface().(type) {
		case *playlist.Cron:
			*v = late
		case *time.Time:
			*v = time.Now()
		case **playlist.Calendar:
			*v = &playlist.Calendar{Off: []playlist.Date{"2026-10-01"}}
		default:
			switch f.Kind() {
			case reflect.String:
				f.SetString("other")
			case reflect.Bool:
				f.SetBool(!f.Bool())
			case reflect.Slice:
				f.Set(reflect.Append(f, reflect.Zero(f.Type().Elem())))
			case reflect.Float64:
				f.SetFloat(f.Float() + 1)
			case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
				f.SetUint(f.Uint() + 1)
			default:
				f.SetInt(f.Int() + 1)
			}
		}
		if a.Equal(aSlot(t)) || aSlot(t).Equal(a) {
			t.Errorf("another %s makes no other slot", fields.Field(i).Name)
		}
	}
}

func TestADueKeyChangesWithWhatMakesASlotFallDue(t *testing.T) {
	key := func(change func(*playlist.Slot)) string {
		s := aSlot(t)
		change(&s)
		return s.DueKey(time.UTC)
	}
	same := key(func(*playlist.Slot) {})
	if got := key(func(s *playlist.Slot) { s.Count, s.LevelDB, s.Playlist = 5, -6, "songs" }); got != same {
		t.Errorf("%s, want %s", got, same)
	}
	keys := []string{same, aSlot(t).DueKey(time.FixedZone("CST", 8*3600)),
		key(func(s *playlist.Slot) { s.Name = "evening" }), key(func(s *playlist.Slot) { s.From = "2026-01-01" }),
		key(func(s *playlist.Slot) { s.To = "2026-01-01" }), key(func(s *playlist.Slot) { s.Except = nil })}
	slices.Sort(keys)
	if n := len(slices.Compact(keys)); n != 6 {
		t.Errorf("%d keys of 6: %q", n, keys)
	}
}
