//go:build race

package schedule_test

const raced = true // the race detector makes all of it five times slower
