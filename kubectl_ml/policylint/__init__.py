"""
What `policy lint` finds: one module a question, each from subjects to findings.

Reading files and printing belong elsewhere.
"""
