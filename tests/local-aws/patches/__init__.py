"""What makes MiniStack and moto like AWS, a file for each service. serve.py lists it all."""
