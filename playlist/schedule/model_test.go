package schedule_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
	"dalaba/playlist/schedule/scheduletest"
)

// within is how far the plan may be from the rules. A decision that was made by less
// may go either way, and so may all that comes after it.
const within = time.Second

// TestPlanKeepsTheRules holds the plan of programmes made at random against the model,
// airing by airing.
func TestPlanKeepsTheRules(t *testing.T) {
	seeds := int64(1000)
	if testing.Short() || raced {
		seeds = 150
	}
	var all, left, wrong int
	for seed := range seeds {
		p, lengths, from := scheduletest.Random(rand.New(rand.NewSource(seed)))
		to := from.Add(scheduletest.Days * 24 * time.Hour)
		difference := func(p *playlist.Programme) string {
			return compare(p, lengths, scheduletest.Model(p, lengths, from, to), plan(p, lengths, from, to))
		}
		for _, c := range scheduletest.Model(p, lengths, from, to) {
			if all++; c.Margin < within {
				left++
			}
		}
		if difference(p) == "" {
			continue
		}
		if wrong++; wrong <= 5 {
			small := scheduletest.Shrink(p, func(p *playlist.Programme) bool { return difference(p) != "" })
			t.Errorf("seed %d, from %s, made small:\n%s%s", seed, from.In(p.Site.Zone), scheduletest.Text(small, lengths), difference(small))
		}
	}
	t.Logf("%d airings, %d of them after a decision that was too close", all, left)
	if wrong > 0 {
		t.Errorf("%d of %d plans break the rules", wrong, seeds)
	}
	if left > all/10 {
		t.Errorf("of %d airings %d are left out, which is too many", all, left)
	}
}

// TestPlanKeepsTheRulesWhereItIsTight is about single rules that programmes made at
// random seldom come to.
func TestPlanKeepsTheRulesWhereItIsTight(t *testing.T) {
	for _, x := range scheduletest.Tight() {
		t.Run(x.Name, func(t *testing.T) {
			courses := scheduletest.Model(x.Programme, x.Lengths, x.From, x.To)
			for _, c := range courses {
				if c.Margin < within {
					t.Errorf("%s on %s is left out: margin %v", c.Slot, c.Output, c.Margin)
				}
			}
			if difference := compare(x.Programme, x.Lengths, courses, plan(x.Programme, x.Lengths, x.From, x.To)); difference != "" {
				t.Errorf("%s%s", scheduletest.Text(x.Programme, x.Lengths), difference)
			}
		})
	}
}

// plan is what the plan has of the airings due in [from, to).
func plan(p *playlist.Programme, lengths map[playlist.ClipID]time.Duration, from, to time.Time) []schedule.Planned {
	clip := func(id playlist.ClipID) (playlist.Clip, bool) {
		return playlist.Clip{ID: id, Frames: playlist.FramesIn(lengths[id])}, true
	}
	return schedule.Plan(p, from.Add(-1), to.Add(-1), schedule.Outlook{Clip: clip})
}

// compare tells of the first airing that the plan has otherwise than the model.
func compare(p *playlist.Programme, lengths map[playlist.ClipID]time.Duration, courses []scheduletest.Course, plan []schedule.Planned) string {
	type key struct {
		slot, output string
		due          int64
	}
	planned := map[key]schedule.Planned{}
	for _, a := range plan {
		planned[key{a.Slot.Name, a.Output, a.Due.UnixNano()}] = a
	}
	if len(planned) != len(plan) {
		return "the plan has an airing twice\n"
	}
	for _, c := range courses {
		k := key{c.Slot, c.Output, c.Due.UnixNano()}
		a, ok := planned[k]
		delete(planned, k)
		if c.Margin < within {
			continue
		}
		what := "is not in the plan"
		if ok {
			slot, _ := p.Slot(c.Slot)
			what = differs(slot, lengths, c, a)
		}
		if what != "" {
			return fmt.Sprintf("%s on %s: %s (margin %v)\nby the rules\n%s%sby the plan %s %v\n%s",
				c.Slot, c.Output, what, c.Margin, scheduletest.Context(courses, c, p.Site.Zone), c.Text(p.Site.Zone),
				a.Outcome, a.Flags, asCourse(a, c).Text(p.Site.Zone))
		}
	}
	for _, a := range planned {
		return fmt.Sprintf("%s on %s: due only by the plan\n", a.ID, a.Output)
	}
	return ""
}

// asCourse is the plan of an airing in the model's words, for its text.
func asCourse(a schedule.Planned, c scheduletest.Course) scheduletest.Course {
	c.Fate, c.Parts = "", nil
	for _, q := range a.Parts {
		c.Parts = append(c.Parts, scheduletest.Part{Item: q.Item, Clip: q.Clip, From: q.From, Start: q.Start, End: q.End})
	}
	return c
}

// differs says in what the plan of an airing differs from its course, if in anything.
func differs(slot playlist.Slot, lengths map[playlist.ClipID]time.Duration, c scheduletest.Course, a schedule.Planned) string {
	if !slices.Contains(outcomes(slot, lengths, c), a.Outcome) {
		return fmt.Sprintf("the outcome is %s", a.Outcome)
	}
	if len(c.Parts) != len(a.Parts) {
		return fmt.Sprintf("%d parts sound, not %d", len(a.Parts), len(c.Parts))
	}
	var clips []playlist.ClipID
	for i, want := range c.Parts {
		got := a.Parts[i]
		if want.Item != got.Item || want.Clip != got.Clip || apart(want.Start, got.Start) || apart(want.End, got.End) || (want.From-got.From).Abs() > within {
			return fmt.Sprintf("part %d differs", i+1)
		}
		if i == 0 || want.Item != c.Parts[i-1].Item {
			clips = append(clips, want.Clip)
		}
	}
	if !slices.Equal(a.Clips, clips) {
		return fmt.Sprintf("its clips are %v", a.Clips)
	}
	var start, end time.Time
	if n := len(c.Parts); n > 0 {
		start, end = c.Parts[0].Start, c.Parts[n-1].End
		if slot.Chime {
			start = start.Add(-schedule.ChimeLength)
		}
	}
	if apart(start, a.Start) || apart(end, a.End) {
		return fmt.Sprintf("it sounds from %s to %s", a.Start, a.End)
	}
	return ""
}

func apart(a, b time.Time) bool { return a.IsZero() != b.IsZero() || a.Sub(b).Abs() > within }

// outcomes are those that a course may have: one that ended early but for a scrap of
// its last clip counts as complete.
func outcomes(slot playlist.Slot, lengths map[playlist.ClipID]time.Duration, c scheduletest.Course) []asrun.Outcome {
	switch c.Fate {
	case scheduletest.Complete:
		return []asrun.Outcome{asrun.Complete}
	case scheduletest.Missed:
		return []asrun.Outcome{asrun.Missed}
	case scheduletest.Suppressed:
		return []asrun.Outcome{asrun.Suppressed}
	case scheduletest.Empty:
		return []asrun.Outcome{asrun.Failed}
	}
	last := c.Parts[len(c.Parts)-1]
	heard := last.From + last.End.Sub(last.Start)
	if last.Item == slot.Count && heard.Seconds() >= asrun.CompleteRatio*lengths[last.Clip].Seconds() {
		return []asrun.Outcome{asrun.Complete, asrun.Partial, asrun.Preempted}
	}
	return []asrun.Outcome{asrun.Partial, asrun.Preempted}
}

// TestWhySaysWhatThePlanSays asks why at the due instant of each airing of a plan.
func TestWhySaysWhatThePlanSays(t *testing.T) {
	for seed := range int64(250) {
		p, lengths, from := scheduletest.Random(rand.New(rand.NewSource(seed)))
		planned := plan(p, lengths, from, from.Add(scheduletest.Days*24*time.Hour))
		for _, a := range planned {
			said := schedule.Explain(p, schedule.Evidence{Planned: planned, Alive: true, Started: from, Mark: from}, a.Due, from)
			i := slices.IndexFunc(said, func(e schedule.Explanation) bool {
				return len(e.About) > 2 && e.About[0] == a.Output && e.About[1] == schedule.SlotName(a.Slot.Name) && e.About[2] == a.Due
			})
			if i < 0 {
				t.Fatalf("seed %d: why does not speak of %s on %s: %v", seed, a.ID, a.Output, said)
			}
			e := said[i]
			late := a.Start.Sub(a.Due) > time.Second
			var right bool
			switch e.What {
			case "will":
				right = !a.Silent() && !late
			case "will_late":
				right = !a.Silent() && late && e.About[3] == a.Start
			case "will_not", "will_not_into", "will_not_local", "will_be_silent":
				right = a.Silent()
			}
			if !right {
				t.Fatalf("seed %d: %s on %s, planned from %v to %v, %v: why says %v", seed, a.ID, a.Output, a.Start, a.End, a.Flags, e)
			}
			for _, f := range a.Flags {
				if f.Kind == schedule.FlagQuiet || f.Kind == schedule.FlagLocal {
					continue
				}
				if !slices.ContainsFunc(e.Then, func(x schedule.Explanation) bool { return x.What == "flag_"+schedule.What(f.Kind) }) {
					t.Fatalf("seed %d: %s on %s: why does not tell of %v: %v", seed, a.ID, a.Output, f, e)
				}
			}
		}
	}
}
