package queue

// Kinds of events, in the order of event.go: what a webhook may ask for. A test
// holds it against that file.
var Kinds = []Kind{
	KindAccepted, KindDue, KindTaken, KindPart, KindSent, KindNotOffered, KindRetry, KindRejected, KindUnknown,
	KindInterrupted, KindReport, KindNoReport, KindResent, KindSettled, KindRestarted, KindRelayed, KindErased,
	KindHeld, KindReleased, KindRerouted, KindQuota, KindExpired, KindCancelled, KindReceived, KindOptOut, KindOptIn,
	KindRoute, KindNotice, KindPaused, KindResumed, KindClock, KindHook, KindSettings, KindCampaign, KindRule,
}
