"""What is refused: one module per check that a GuardPolicy can ask for."""
