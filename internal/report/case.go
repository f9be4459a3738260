// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Case is the page of one case.
type Case struct {
	Namespace      string    `json:"namespace"`
	Name           string    `json:"name"`
	Title          string    `json:"title"`
	Type           string    `json:"type"`
	State          string    `json:"state"`
	Severity       string    `json:"severity"`
	SeverityAtOpen string    `json:"severityAtOpen"`
	Queue          string    `json:"queue,omitempty"`
	Owner          string    `json:"owner,omitempty"`
	OpenedTime     time.Time `json:"openedTime"`
	Signals        int64     `json:"signals"`
	// Users, Hosts, Assets and Indicators are what the case is about.
	Users      []Entity    `json:"users,omitempty"`
	Hosts      []Entity    `json:"hosts,omitempty"`
	Assets     []Entity    `json:"assets,omitempty"`
	Indicators []Indicator `json:"indicators,omitempty"`
	// Sightings are when the addresses among the indicators were seen, in the order of time.
	Sightings []Sighting `json:"sightings,omitempty"`
	// Enrichments are what lookups said, SeverityTrace why the case is as severe as it is.
	Enrichments   []Enrichment `json:"enrichments,omitempty"`
	SeverityTrace []Factor     `json:"severityTrace,omitempty"`
	Actions       []Action     `json:"actions,omitempty"`
	Answers       []StepAnswer `json:"answers,omitempty"`
	Questions     []Question   `json:"questions,omitempty"`
	Playbooks     []Playbook   `json:"playbooks,omitempty"`
	Closure       *Closure     `json:"closure,omitempty"`
	PreviousCase  string       `json:"previousCase,omitempty"`
	SourceURL     string       `json:"sourceURL,omitempty"`
	Record        RecordTotals `json:"record"`
}

// Entity is a user, a host or an asset.
type Entity struct {
	Name        string `json:"name"`
	Type        string `json:"type,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Cluster     string `json:"cluster,omitempty"`
	UID         string `json:"uid,omitempty"`
}

// Indicator is one observable, not defanged: that is for text.
type Indicator struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Enrichment is what one lookup said.
type Enrichment struct {
	Name   string `json:"name"`
	Lookup string `json:"lookup"`
	// Item is what it was asked for, of several; Decision the Decision that asked for it by hand.
	Item     string          `json:"item,omitempty"`
	Decision string          `json:"decision,omitempty"`
	Input    json.RawMessage `json:"input,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
	Time     time.Time       `json:"time"`
}

// Factor is one row of the severity trace.
type Factor struct {
	Factor   string `json:"factor"`
	Adjust   int32  `json:"adjust"`
	Severity string `json:"severity"`
	Because  string `json:"because"`
}

// Playbook is a playbook that the type started, or why it did not.
type Playbook struct {
	Name    string `json:"name"`
	Item    string `json:"item,omitempty"`
	Run     string `json:"run,omitempty"`
	State   string `json:"state,omitempty"`
	Step    string `json:"step,omitempty"`
	Message string `json:"message,omitempty"`
	// By is the person who started it by hand; nil where the type of the case did.
	By *Actor `json:"by,omitempty"`
}

// StepAnswer is a question of a playbook that was answered.
type StepAnswer struct {
	Handle string    `json:"handle"`
	Prompt string    `json:"prompt,omitempty"`
	Answer string    `json:"answer"`
	By     *Actor    `json:"by,omitempty"`
	Time   time.Time `json:"time,omitzero"`
}

// Closure is how a case ended.
type Closure struct {
	Classification string    `json:"classification"`
	Note           string    `json:"note,omitempty"`
	RootCause      string    `json:"rootCause,omitempty"`
	By             Actor     `json:"by"`
	Time           time.Time `json:"time"`
}

// RecordTotals say how much is on record.
type RecordTotals struct {
	// Records counts the objects of the case, Entries their journal entries since they were created.
	Records int   `json:"records"`
	Entries int64 `json:"entries"`
	// Log names the EvidenceLog, LogSize how many entries of all cases it has sealed at CheckpointTime.
	Log            string    `json:"log,omitempty"`
	LogSize        int64     `json:"logSize,omitempty"`
	CheckpointTime time.Time `json:"checkpointTime,omitzero"`
}

// NewCase makes the page of a case as a viewer sees it.
func NewCase(r *Records, viewer Viewer) Case {
	c := &r.Case
	view := Case{
		Namespace: c.Namespace, Name: c.Name, Title: c.Spec.Title, Type: typeOf(c), State: stateOf(c),
		Severity: string(severityOf(c)), SeverityAtOpen: string(c.Spec.Severity), Queue: c.Status.Queue, Owner: c.Status.Owner,
		OpenedTime: c.CreationTimestamp.UTC(), Signals: int64(len(r.Signals)),
		Users: entities(c.Status.Users), Hosts: entities(c.Status.Hosts), Assets: entities(c.Status.Assets), Sightings: sightings(c),
		Enrichments: enrichments(c), SeverityTrace: factors(c), Answers: answers(r), Questions: QuestionsOf(c, viewer),
		Playbooks: playbooks(r), Record: totals(r),
	}
	if c.Status.Signals != nil {
		view.Signals = c.Status.Signals.Total
	}
	for _, indicator := range c.Status.Indicators {
		view.Indicators = append(view.Indicators, Indicator{Type: string(indicator.Type), Value: indicator.Value})
	}
	for i := range r.Actions {
		view.Actions = append(view.Actions, actionOf(r, &r.Actions[i]))
	}
	if c.Spec.PreviousCaseRef != nil {
		view.PreviousCase = c.Spec.PreviousCaseRef.Name
	}
	if c.Status.Closure != nil {
		view.Closure = closureOf(c.Status.Closure)
	}
	if i := slices.IndexFunc(r.Signals, func(s v1alpha1.Signal) bool { return s.Spec.SourceURL != "" }); i >= 0 {
		view.SourceURL = r.Signals[i].Spec.SourceURL
	}
	return view
}

func entities(in []v1alpha1.Entity) []Entity {
	out := make([]Entity, len(in))
	for i, e := range in {
		out[i] = Entity{Name: e.Name, Type: e.Type, DisplayName: e.DisplayName, Namespace: e.Namespace, Cluster: e.Cluster, UID: e.UID}
	}
	return out
}

func enrichments(c *v1alpha1.Case) []Enrichment {
	out := make([]Enrichment, len(c.Status.Enrichments))
	for i, e := range c.Status.Enrichments {
		out[i] = Enrichment{
			Name: e.Name, Lookup: e.Lookup, Item: e.Item, Decision: e.Decision, Input: raw(e.Input), Result: raw(e.Result), Error: e.Error, Time: e.Time.UTC(),
		}
	}
	return out
}

func raw(in *apiextensionsv1.JSON) json.RawMessage {
	if in == nil {
		return nil
	}
	return in.Raw
}

func factors(c *v1alpha1.Case) []Factor {
	out := make([]Factor, len(c.Status.SeverityTrace))
	for i, f := range c.Status.SeverityTrace {
		out[i] = Factor{Factor: f.Factor, Adjust: ptr.Deref(f.Adjust, 0), Severity: string(f.Severity), Because: f.Because}
	}
	return out
}

// because says why, and of a severity that a person set that it was set.
func (f Factor) because() string {
	if f.Factor == "set" {
		return "set " + f.Because
	}
	return f.Because
}

func closureOf(c *v1alpha1.Closure) *Closure {
	return &Closure{
		Classification: string(c.Classification), Note: c.Note, RootCause: c.RootCause, By: actorOf(c.By), Time: c.Time.UTC(),
	}
}

func playbooks(r *Records) []Playbook {
	var out []Playbook
	for _, started := range r.Case.Status.Playbooks {
		view := Playbook{Name: started.Name, Item: started.Item, Run: started.Run, Message: started.Message}
		if d := r.Decision(started.Item); d != nil && d.Spec.Run != nil {
			by := personOf(d.Spec.Actor)
			view.By = &by
		}
		if run := r.Run(started.Run); run != nil {
			view.State, view.Step = string(run.Status.State), run.Status.Step
			if view.Message == "" {
				view.Message = run.Status.Message
			}
		}
		out = append(out, view)
	}
	return out
}

func answers(r *Records) []StepAnswer {
	var out []StepAnswer
	for _, run := range r.Runs {
		for _, step := range run.Status.Steps {
			if step.Answer == "" {
				continue
			}
			view := StepAnswer{Handle: r.Case.Name + "/" + run.Spec.Handle(step.Name), Answer: step.Answer}
			if step.Question != nil {
				view.Prompt = step.Question.Prompt
			}
			if step.AnsweredBy != nil {
				by := actorOf(*step.AnsweredBy)
				view.By = &by
			}
			if step.EndTime != nil {
				view.Time = step.EndTime.UTC()
			}
			out = append(out, view)
		}
	}
	return out
}

// totals counts what is on record: trimmed entries too, which the newest sequence of each journal tells.
func totals(r *Records) RecordTotals {
	out := RecordTotals{}
	for _, record := range r.all() {
		out.Records++
		out.Entries++ // the spec
		if journal := record.Head().Journal; len(journal) > 0 {
			out.Entries += journal[len(journal)-1].Sequence
		}
	}
	if r.Log != nil {
		out.Log = r.Log.Namespace + "/" + r.Log.Name
		if r.Log.Status.Size != nil {
			out.LogSize = *r.Log.Status.Size
		}
		if r.Log.Status.CheckpointTime != nil {
			out.CheckpointTime = r.Log.Status.CheckpointTime.UTC()
		}
	}
	return out
}
