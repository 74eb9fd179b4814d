package ingest

var deniedBefore []uint32
