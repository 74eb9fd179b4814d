package store_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// BenchmarkReceipts is how fast one county takes receipts in, in batches of
// 200 from many controllers at once.
func BenchmarkReceipts(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			s := open(b, options(b, kind))
			const many = 50
			for c := range many {
				addController(b, s, fmt.Sprintf("c%d", c), "341523100201", store.Output{Name: "村口", Area: "341523100201", Residents: 10})
			}
			b.ResetTimer()
			done := 0
			for n := 0; b.Loop(); n++ {
				work := make(chan error, many)
				for c := range many {
					go func() {
						var rows []asrun.Row
						for i := range 200 {
							due := morning.Add(time.Duration(n*200+i) * 20 * time.Minute)
							rows = append(rows, row(fmt.Sprintf("时段%d", i%10), due, "村口", i%20, asrun.Complete))
						}
						_, err := s.AddReceipts(b.Context(), link.Batch{
							Controller: playlist.ControllerID(fmt.Sprintf("c%d", c)), Epoch: fmt.Sprint("of c", c), Receipts: receipts(int64(n*200+1), rows...),
						})
						work <- err
					}()
				}
				for range many {
					if err := <-work; err != nil {
						b.Fatal(err)
					}
				}
				done += 200 * many
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "receipts/s")
		})
	}
}

// BenchmarkReach asks for reports over a year of 5,000 controllers. What they
// look at is written straight into the store, as receipts would have: 20 clips
// a day in 20 towns of 15 villages.
func BenchmarkReach(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			s := open(b, options(b, kind))
			if err := store.FillYear(b.Context(), s, 5000, 365, 20); err != nil {
				b.Fatal(err)
			}
			if dir := os.Getenv("KEEP"); dir != "" {
				b.Log(s.Dir())
			}
			for _, q := range []store.ReachQuery{
				{By: store.ByClip}, {By: store.BySeries}, {By: store.ByIssue}, {By: store.ByDay}, {By: store.ByArea},
				{By: store.ByArea, Area: "341523103000"}, {By: store.ByClip, Area: "341523103000"}, {By: store.ByClip, Area: "341523103004"},
			} {
				q.From, q.To = "2026-01-01", "2026-12-31"
				b.Run(fmt.Sprintf("%s%s", q.By, q.Area), func(b *testing.B) {
					for b.Loop() {
						rep, err := s.Reach(b.Context(), q)
						if err != nil {
							b.Fatal(err)
						}
						if rep.Total.Reached == 0 || rep.Total.Planned == 0 {
							b.Fatal("nothing to report")
						}
					}
				})
			}
		})
	}
}
