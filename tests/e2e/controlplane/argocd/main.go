// Compares pairs of objects as Argo CD does: {"target": …, "live": …, "ignore": […]} a line on
// standard input, {"modified": …, "normalized": …, "predicted": …} a line on standard output.
// What is to be ignored are expressions of jq, taken out as Argo CD's own normalizer does
// (util/argo/normalizers/diff_normalizer.go): by gojq and `del`, one after the other, on both
// sides and on what was last applied.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/itchyny/gojq"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type pair struct {
	Target map[string]interface{} `json:"target"`
	Live   map[string]interface{} `json:"live"`
	Ignore []string               `json:"ignore"`
}

type deletions []*gojq.Code

func compiled(expressions []string) (deletions, error) {
	var found deletions
	for _, one := range expressions {
		query, err := gojq.Parse(fmt.Sprintf("del(%s)", one))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one, err)
		}
		code, err := gojq.Compile(query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one, err)
		}
		found = append(found, code)
	}
	return found, nil
}

func (all deletions) Normalize(object *unstructured.Unstructured) error {
	if object == nil || len(all) == 0 {
		return nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var value interface{}
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	for _, code := range all {
		first, ok := code.Run(value).Next()
		if err, failed := first.(error); failed {
			return err
		}
		if !ok {
			return fmt.Errorf("a deletion gave nothing")
		}
		value = first
	}
	text, err = json.Marshal(value)
	if err != nil {
		return err
	}
	object.Object = nil
	return json.Unmarshal(text, object)
}

type answer struct {
	Modified   bool            `json:"modified"`
	Normalized json.RawMessage `json:"normalized,omitempty"`
	Predicted  json.RawMessage `json:"predicted,omitempty"`
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var given pair
		if err := in.Decode(&given); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		target := &unstructured.Unstructured{Object: given.Target}
		live := &unstructured.Unstructured{Object: given.Live}
		ignored, err := compiled(given.Ignore)
		if err != nil {
			log.Fatal(err)
		}
		found, err := diff.Diff(target, live, diff.WithNormalizer(ignored))
		if err != nil {
			log.Fatal(err)
		}
		said := answer{Modified: found.Modified}
		if found.Modified {
			said.Normalized, said.Predicted = found.NormalizedLive, found.PredictedLive
		}
		if err := out.Encode(said); err != nil {
			log.Fatal(err)
		}
	}
}
